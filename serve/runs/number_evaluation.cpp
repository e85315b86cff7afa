#include <qing/serve/runs/number_evaluation.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include <qing/nn/number_comparison.h>
#include <qing/nn/scale_metrics.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/table_writer.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

struct NumberPairs {
  std::vector<double> expected, predicted;
};

std::map<std::string, NumberPairs> pairs_by_source(const NumberEvaluation& evaluation) {
  std::map<std::string, NumberPairs> sources;
  for (size_t i = 0; i < evaluation.expected.size(); ++i) {
    NumberPairs& source = sources[evaluation.sources[i]];
    source.expected.push_back(evaluation.expected[i]);
    source.predicted.push_back(evaluation.predicted[i]);
  }
  return sources;
}

struct NumberMeasure {
  const char* name;    // for people
  const char* member;  // of JSON
  double (*value)(std::span<const double>, std::span<const double>);
};

constexpr std::array<NumberMeasure, 5> kNumberMeasures = {{{"MSE", "mse", nn::mean_squared_error},
                                                           {"RMSE", "rmse", nn::root_mean_squared_error},
                                                           {"MAE", "mae", nn::mean_absolute_error},
                                                           {"Pearson", "pearson", nn::pearson_correlation},
                                                           {"Spearman", "spearman", nn::spearman_correlation}}};

void write_errors(JsonWriter& json, std::span<const double> expected, std::span<const double> predicted) {
  for (const NumberMeasure& one : kNumberMeasures) {
    const nn::Interval interval = nn::bootstrap_interval(expected, predicted, one.value);
    json.member(one.member, one.value(expected, predicted)).key(fmt::format("{}_interval", one.member));
    json.begin_array().value(interval.low).value(interval.high).end();
  }
  json.member("examples", expected.size());
}

double distance_of(const NumberEvaluation& evaluation, size_t example) {
  return std::abs(evaluation.expected[example] - evaluation.predicted[example]);
}

}  // namespace

NumberEvaluation evaluate_numbers(const nn::TextClassifier& model, std::span<const nn::Example> examples) {
  if (model.problem() != nn::Problem::regression) {
    throw ValueError(fmt::format("evaluate_numbers: the model is a {} one", name_of(model.problem())));
  }
  std::vector<std::string> texts;
  texts.reserve(examples.size());
  for (const nn::Example& example : examples) texts.push_back(example.text);
  const auto where = [&](size_t i) { return fmt::format("{}, example {}", examples[i].source, i + 1); };
  const std::vector<nn::Prediction> predictions = predict_all(model, texts, where);
  NumberEvaluation evaluation;
  for (size_t i = 0; i < examples.size(); ++i) {
    evaluation.expected.push_back(examples[i].value);
    evaluation.predicted.push_back(predictions[i].value);
    evaluation.sources.push_back(examples[i].source);
  }
  return evaluation;
}

std::string to_text(const NumberEvaluation& evaluation) {
  const auto& [expected, predicted, sources] = evaluation;
  std::string text = fmt::format("examples      {}\n", expected.size());
  for (const NumberMeasure& one : kNumberMeasures) {
    const nn::Interval interval = nn::bootstrap_interval(expected, predicted, one.value);
    text += fmt::format("{:<14}{:.6g}  95% [{:.6g}, {:.6g}]\n", one.name, one.value(expected, predicted), interval.low,
                        interval.high);
  }
  text += "\n";
  text +=
      fmt::format("{:<28} {:>9} {:>12} {:>12} {:>9} {:>9}", "source", "examples", "MSE", "MAE", "Pearson", "Spearman");
  for (const auto& [source, pairs] : pairs_by_source(evaluation)) {
    text += fmt::format("\n{:<28} {:>9} {:>12.6g} {:>12.6g} {:>9.4f} {:>9.4f}", source, pairs.expected.size(),
                        nn::mean_squared_error(pairs.expected, pairs.predicted),
                        nn::mean_absolute_error(pairs.expected, pairs.predicted),
                        nn::pearson_correlation(pairs.expected, pairs.predicted),
                        nn::spearman_correlation(pairs.expected, pairs.predicted));
  }
  return text;
}

std::string to_json(const NumberEvaluation& evaluation, const std::string& worst) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object();
  write_errors(json, evaluation.expected, evaluation.predicted);
  json.key("per_source").begin_object();
  for (const auto& [source, pairs] : pairs_by_source(evaluation)) {
    json.key(source).begin_object();
    write_errors(json, pairs.expected, pairs.predicted);
    json.end();
  }
  json.end();
  if (!worst.empty()) json.key("worst").raw(worst);
  return json.end().take();
}

std::vector<size_t> worst_examples(const NumberEvaluation& evaluation, size_t most) {
  std::vector<size_t> order(evaluation.expected.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return distance_of(evaluation, i); });
  order.resize(std::min(order.size(), most));
  return order;
}

std::string worst_text(const NumberEvaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const size_t> worst, std::span<const std::string> names) {
  constexpr size_t kShown = 160;
  std::string text = fmt::format("greatest errors\n{:>12} {:>12}  where and text", "expected", "predicted");
  for (const size_t i : worst) {
    text += fmt::format("\n{:>12.6g} {:>12.6g}  {}:{}: {}", evaluation.expected[i], evaluation.predicted[i],
                        names[static_cast<size_t>(examples[i].group)], examples[i].line,
                        shown_text(examples[i].text, kShown));
  }
  return text + "\n";
}

std::string worst_json(const NumberEvaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const size_t> worst, std::span<const std::string> names) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_array();
  for (const size_t i : worst) {
    json.begin_object().member("file", names[static_cast<size_t>(examples[i].group)]).member("line", examples[i].line);
    json.member("text", examples[i].text).member("expected", evaluation.expected[i]);
    json.member("predicted", evaluation.predicted[i]).end();
  }
  return json.end().take();
}

void write_results(const std::filesystem::path& out, const NumberEvaluation& evaluation,
                   std::span<const nn::Example> examples, std::span<const std::string> names) {
  TableWriter writer(
      out, {.columns = {"file", "line", "source", "text", "value"}, .added = {"predicted_value", "error"}}, "");
  for (size_t i = 0; i < examples.size(); ++i) {
    const nn::Example& example = examples[i];
    const std::string& file = names[static_cast<size_t>(example.group)];
    const std::vector<std::string> fields = {file, std::to_string(example.line), example.source, example.text,
                                             fmt::format("{}", evaluation.expected[i])};
    const std::vector<AddedValue> added = {
        {fmt::format("{}", static_cast<float>(evaluation.predicted[i])), true},
        {fmt::format("{:.6g}", evaluation.predicted[i] - evaluation.expected[i]), true}};
    writer.add(fields, {}, added, fmt::format("{}:{}", file, example.line));
  }
  writer.finish();
}

}  // namespace qing::serve::cli
