// The texts of a multi-label evaluation: tables for people, JSON for programs, and the rows with their predictions.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include <qing/nn/data/label_sets.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/runs/table_writer.h>

namespace qing::serve::cli {
namespace {

constexpr size_t kShownTextBytes = 160;

double micro_f1_of_sets(const nn::MultiLabelCounts& counts) { return counts.micro().f1; }
double macro_f1_of_sets(const nn::MultiLabelCounts& counts) { return counts.macro().f1; }

nn::Interval subset_interval(const nn::MultiLabelCounts& counts) {
  return nn::wilson_interval(counts.matches(), counts.total());
}

std::string in_brackets(nn::Interval interval) { return fmt::format("[{:.4f}, {:.4f}]", interval.low, interval.high); }

void write_bounds(JsonWriter& json, std::string_view name, nn::Interval interval) {
  json.key(name).begin_array().value(interval.low).value(interval.high).end();
}

void write_measures(JsonWriter& json, const nn::MultiLabelCounts& counts) {
  const nn::LabelMetrics micro = counts.micro(), macro = counts.macro();
  json.member("micro_precision", micro.precision).member("micro_recall", micro.recall).member("micro_f1", micro.f1);
  json.member("macro_precision", macro.precision).member("macro_recall", macro.recall).member("macro_f1", macro.f1);
  json.member("subset_accuracy", counts.subset_accuracy()).member("hamming_loss", counts.hamming_loss());
  json.member("examples", counts.total());
}

std::string labels_table(const MultiLabelEvaluation& evaluation, const nn::MultiLabelCounts& counts) {
  std::string text = fmt::format("{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "label", "precision", "recall", "F1",
                                 "support", "threshold", "AP");
  for (size_t i = 0; i < evaluation.labels.size(); ++i) {
    const nn::LabelMetrics one = counts.label(static_cast<int64_t>(i));
    text += fmt::format("{:<20} {:>9.4f} {:>9.4f} {:>9.4f} {:>9} {:>9.4f} {:>9.4f}\n", evaluation.labels[i],
                        one.precision, one.recall, one.f1, one.support, evaluation.thresholds[i],
                        nn::average_precision(evaluation.scored(i)));
  }
  return text;
}

std::string sources_table(const MultiLabelEvaluation& evaluation) {
  std::string text =
      fmt::format("{:<28} {:>9} {:>9} {:>9} {:>9}", "source", "examples", "micro F1", "macro F1", "subset");
  for (const auto& [source, counts] : evaluation.per_source()) {
    text += fmt::format("\n{:<28} {:>9} {:>9.4f} {:>9.4f} {:>9.4f}", source, counts.total(), counts.micro().f1,
                        counts.macro().f1, counts.subset_accuracy());
  }
  return text;
}

std::string shown_set(const MultiLabelEvaluation& evaluation, std::span<const int32_t> labels) {
  return labels.empty() ? "(none)" : nn::joined_labels(names_of_labels(evaluation.labels, labels));
}

}  // namespace

std::string to_text(const MultiLabelEvaluation& evaluation) {
  const nn::MultiLabelCounts counts = evaluation.counts();
  const std::vector<nn::LabelSets> sets = evaluation.sets();
  const int64_t labels = counts.labels();
  const nn::LabelMetrics micro = counts.micro(), macro = counts.macro();
  std::string text = fmt::format("examples         {}\n", counts.total());
  const auto line = [&](const char* name, double value, nn::Interval interval) {
    text += fmt::format("{:<17}{:.4f}  95% {}\n", name, value, in_brackets(interval));
  };
  line("micro F1", micro.f1, nn::bootstrap_interval(sets, labels, micro_f1_of_sets));
  line("macro F1", macro.f1, nn::bootstrap_interval(sets, labels, macro_f1_of_sets));
  line("subset accuracy", counts.subset_accuracy(), subset_interval(counts));
  text += fmt::format(
      "micro precision  {:.4f}\nmicro recall     {:.4f}\nhamming loss     {:.4f}\nlog loss         {:.4f}\n\n",
      micro.precision, micro.recall, counts.hamming_loss(), evaluation.log_loss());
  return text + labels_table(evaluation, counts) + "\n" + sources_table(evaluation);
}

std::string to_json(const MultiLabelEvaluation& evaluation, const std::string& worst) {
  const nn::MultiLabelCounts counts = evaluation.counts();
  const std::vector<nn::LabelSets> sets = evaluation.sets();
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object();
  write_measures(json, counts);
  write_bounds(json, "micro_f1_interval", nn::bootstrap_interval(sets, counts.labels(), micro_f1_of_sets));
  write_bounds(json, "macro_f1_interval", nn::bootstrap_interval(sets, counts.labels(), macro_f1_of_sets));
  write_bounds(json, "subset_accuracy_interval", subset_interval(counts));
  json.member("log_loss", evaluation.log_loss()).key("per_label").begin_object();
  for (size_t i = 0; i < evaluation.labels.size(); ++i) {
    const nn::LabelMetrics one = counts.label(static_cast<int64_t>(i));
    json.key(evaluation.labels[i]).begin_object();
    json.member("precision", one.precision).member("recall", one.recall).member("f1", one.f1);
    json.member("support", one.support).member("threshold", evaluation.thresholds[i]);
    json.member("average_precision", nn::average_precision(evaluation.scored(i))).end();
  }
  json.end().key("per_source").begin_object();
  for (const auto& [source, one] : evaluation.per_source()) {
    json.key(source).begin_object();
    write_measures(json, one);
    json.end();
  }
  json.end();
  if (!worst.empty()) json.key("worst").raw(worst);
  return json.end().take();
}

double wrongness(const MultiLabelEvaluation& evaluation, size_t example) {
  double most = 0;
  for (size_t label = 0; label < evaluation.labels.size(); ++label) {
    const auto number = static_cast<int32_t>(label);
    const bool expected = std::ranges::binary_search(evaluation.expected[example], number);
    if (expected == std::ranges::binary_search(evaluation.predicted[example], number)) continue;
    const double score = evaluation.row(example)[label];
    most = std::max(most, expected ? 1 - score : score);
  }
  return most;
}

std::vector<size_t> worst_examples(const MultiLabelEvaluation& evaluation, size_t most) {
  std::vector<size_t> errors;
  std::vector<double> distances;
  for (size_t i = 0; i < evaluation.expected.size(); ++i) {
    distances.push_back(wrongness(evaluation, i));
    if (evaluation.expected[i] != evaluation.predicted[i]) errors.push_back(i);
  }
  std::ranges::stable_sort(errors, std::greater<>(), [&](size_t i) { return distances[i]; });
  errors.resize(std::min(errors.size(), most));
  return errors;
}

std::string worst_text(const MultiLabelEvaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const size_t> worst, std::span<const std::string> names) {
  std::string text = fmt::format("worst errors\n{:<24} {:<24} {:>7}  where and text", "expected", "predicted", "wrong");
  for (const size_t i : worst) {
    const nn::Example& example = examples[i];
    text +=
        fmt::format("\n{:<24} {:<24} {:>7.4f}  {}:{}: {}", shown_set(evaluation, evaluation.expected[i]),
                    shown_set(evaluation, evaluation.predicted[i]), wrongness(evaluation, i),
                    names[static_cast<size_t>(example.group)], example.line, shown_text(example.text, kShownTextBytes));
  }
  return text + "\n";
}

std::string worst_json(const MultiLabelEvaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const size_t> worst, std::span<const std::string> names) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_array();
  for (const size_t i : worst) {
    json.begin_object().member("file", names[static_cast<size_t>(examples[i].group)]).member("line", examples[i].line);
    json.member("text", examples[i].text);
    json.member("expected", names_of_labels(evaluation.labels, evaluation.expected[i]));
    json.member("predicted", names_of_labels(evaluation.labels, evaluation.predicted[i]));
    json.member("wrongness", wrongness(evaluation, i)).end();
  }
  return json.end().take();
}

void write_results(const std::filesystem::path& out, const MultiLabelEvaluation& evaluation,
                   std::span<const nn::Example> examples, std::span<const std::string> names) {
  TableWriter::Head head{.columns = {"file", "line", "source", "text", "label"},
                         .added = {"predicted_label", "correct", "wrongness"}};
  for (const std::string& label : evaluation.labels) head.added.push_back("score_" + label);
  TableWriter writer(out, head, "");
  const auto joined = [&](std::span<const int32_t> labels) {
    return nn::joined_labels(names_of_labels(evaluation.labels, labels));
  };
  for (size_t i = 0; i < examples.size(); ++i) {
    const nn::Example& example = examples[i];
    const std::string& file = names[static_cast<size_t>(example.group)];
    const std::vector<std::string> fields = {file, std::to_string(example.line), example.source, example.text,
                                             joined(evaluation.expected[i])};
    const bool correct = evaluation.expected[i] == evaluation.predicted[i];
    std::vector<AddedValue> added = {{joined(evaluation.predicted[i]), false},
                                     {correct ? "true" : "false", true},
                                     {fmt::format("{:.6g}", wrongness(evaluation, i)), true}};
    for (const float score : evaluation.row(i)) added.push_back({fmt::format("{}", score), true});
    writer.add(fields, {}, added, fmt::format("{}:{}", file, example.line));
  }
  writer.finish();
}

}  // namespace qing::serve::cli
