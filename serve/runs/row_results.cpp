#include <qing/serve/runs/row_results.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/runs/table_writer.h>

namespace qing::serve::cli {
namespace {

constexpr size_t kShownBytes = 160;

const std::string& name_in(const Evaluation& evaluation, int32_t label) {
  return evaluation.labels.at(static_cast<size_t>(label));
}

}  // namespace

double RowResult::loss() const {
  constexpr double kLeast = 1e-12;  // keeps the logarithm finite
  return -std::log(std::max(double{scores[static_cast<size_t>(expected)]}, kLeast));
}

std::vector<RowResult> row_results(const Evaluation& evaluation) {
  const size_t labels = evaluation.labels.size();
  std::vector<RowResult> results(evaluation.expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    const auto logits = std::span(evaluation.logits).subspan(i * labels, labels);
    const auto top = std::ranges::max_element(logits);
    RowResult& result = results[i];
    result.expected = evaluation.expected[i];
    result.predicted = static_cast<int32_t>(top - logits.begin());
    std::vector<double> powers;
    double sum = 0;
    for (const float logit : logits) {
      powers.push_back(std::exp((double{logit} - *top) / evaluation.temperature));
      sum += powers.back();
    }
    for (const double power : powers) result.scores.push_back(static_cast<float>(power / sum));
  }
  return results;
}

std::vector<size_t> worst_errors(std::span<const RowResult> results, size_t most) {
  std::vector<size_t> errors;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].correct()) errors.push_back(i);
  }
  std::ranges::stable_sort(errors, std::greater<>(), [&](size_t i) { return results[i].score(); });
  errors.resize(std::min(errors.size(), most));
  return errors;
}

std::string worst_text(const Evaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const RowResult> results, std::span<const size_t> worst,
                       std::span<const std::string> names) {
  std::string text = fmt::format("worst errors\n{:<12} {:<12} {:>7}  where and text", "expected", "predicted", "score");
  for (const size_t i : worst) {
    const nn::Example& example = examples[i];
    text += fmt::format("\n{:<12} {:<12} {:>7.4f}  {}:{}: {}", name_in(evaluation, results[i].expected),
                        name_in(evaluation, results[i].predicted), results[i].score(),
                        names[static_cast<size_t>(example.group)], example.line, shown_text(example.text, kShownBytes));
  }
  return text + "\n";
}

std::string worst_json(const Evaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const RowResult> results, std::span<const size_t> worst,
                       std::span<const std::string> names) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_array();
  for (const size_t i : worst) {
    json.begin_object().member("file", names[static_cast<size_t>(examples[i].group)]).member("line", examples[i].line);
    json.member("text", examples[i].text).member("expected", name_in(evaluation, results[i].expected));
    json.member("predicted", name_in(evaluation, results[i].predicted)).member("score", results[i].score()).end();
  }
  return json.end().take();
}

void write_results(const std::filesystem::path& out, const Evaluation& evaluation,
                   std::span<const nn::Example> examples, std::span<const RowResult> results,
                   std::span<const std::string> names) {
  TableWriter::Head head{.columns = {"file", "line", "source", "text", "label"},
                         .added = {"predicted_label", "correct", "score", "loss"}};
  const bool ordered = !evaluation.values.empty();
  if (ordered) head.added.emplace_back("value");
  for (const std::string& label : evaluation.labels) head.added.push_back("score_" + label);
  TableWriter writer(out, head, "");
  for (size_t i = 0; i < examples.size(); ++i) {
    const nn::Example& example = examples[i];
    const RowResult& result = results[i];
    const std::string& file = names[static_cast<size_t>(example.group)];
    const std::vector<std::string> fields = {file, std::to_string(example.line), example.source, example.text,
                                             name_in(evaluation, result.expected)};
    std::vector<AddedValue> added = {{name_in(evaluation, result.predicted), false},
                                     {result.correct() ? "true" : "false", true},
                                     {fmt::format("{}", result.score()), true},
                                     {fmt::format("{:.6g}", result.loss()), true}};
    if (ordered) added.push_back({fmt::format("{:.6g}", evaluation.values[i]), true});
    for (const float score : result.scores) added.push_back({fmt::format("{}", score), true});
    writer.add(fields, {}, added, fmt::format("{}:{}", file, example.line));
  }
  writer.finish();
}

}  // namespace qing::serve::cli
