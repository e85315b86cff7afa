#include <qing/serve/reports/multi_label_comparison.h>

#include <fmt/format.h>

#include <functional>
#include <map>
#include <utility>

#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

using Metric = std::function<double(const nn::MultiLabelCounts&)>;

ComparedMeasure measured(const std::string& name, std::span<const nn::LabelSets> first,
                         std::span<const nn::LabelSets> second, int64_t labels, const Metric& metric) {
  nn::MultiLabelCounts of_first(labels), of_second(labels);
  for (const auto& [expected, predicted] : first) of_first.add(expected, predicted);
  for (const auto& [expected, predicted] : second) of_second.add(expected, predicted);
  return {name, metric(of_first), metric(of_second), nn::bootstrap_difference(first, second, labels, metric)};
}

double micro_f1(const nn::MultiLabelCounts& counts) { return counts.micro().f1; }

void require_same_texts(const MultiLabelEvaluation& first, const MultiLabelEvaluation& second) {
  if (first.labels != second.labels || first.expected != second.expected || first.expected.empty()) {
    throw ValueError("compare: both evaluations must be of the same texts and labels, and of one text at least");
  }
}

}  // namespace

std::vector<ComparedMeasure> compare_sources(const MultiLabelEvaluation& first, const MultiLabelEvaluation& second) {
  require_same_texts(first, second);
  const std::vector<nn::LabelSets> of_first = first.sets(), of_second = second.sets();
  std::map<std::string, std::pair<std::vector<nn::LabelSets>, std::vector<nn::LabelSets>>> sources;
  for (size_t i = 0; i < of_first.size(); ++i) {
    auto& [a, b] = sources[first.sources[i]];
    a.push_back(of_first[i]);
    b.push_back(of_second[i]);
  }
  std::vector<ComparedMeasure> compared;
  compared.reserve(sources.size());
  for (const auto& [source, both] : sources) {
    compared.push_back(measured(source, both.first, both.second, std::ssize(first.labels), micro_f1));
  }
  return compared;
}

MultiLabelComparison compare(const MultiLabelEvaluation& first, const MultiLabelEvaluation& second) {
  require_same_texts(first, second);
  const auto labels = std::ssize(first.labels);
  const std::vector<nn::LabelSets> of_first = first.sets(), of_second = second.sets();
  MultiLabelComparison comparison{.texts = std::ssize(first.expected),
                                  .exact = {},
                                  .measures = {},
                                  .per_label = {},
                                  .per_source = compare_sources(first, second)};
  for (size_t i = 0; i < of_first.size(); ++i) {
    const bool first_right = first.predicted[i] == first.expected[i];
    const bool second_right = second.predicted[i] == second.expected[i];
    if (first_right && !second_right) ++comparison.exact.only_first;
    if (second_right && !first_right) ++comparison.exact.only_second;
  }
  comparison.p_value = nn::mcnemar_p_value(comparison.exact);
  const Metric macro = [](const nn::MultiLabelCounts& counts) { return counts.macro().f1; };
  const Metric subset = [](const nn::MultiLabelCounts& counts) { return counts.subset_accuracy(); };
  comparison.measures = {measured("micro F1", of_first, of_second, labels, micro_f1),
                         measured("macro F1", of_first, of_second, labels, macro),
                         measured("subset accuracy", of_first, of_second, labels, subset)};
  for (int64_t label = 0; label < labels; ++label) {
    const Metric f1 = [label](const nn::MultiLabelCounts& counts) { return counts.label(label).f1; };
    comparison.per_label.push_back(measured(first.labels[static_cast<size_t>(label)], of_first, of_second, labels, f1));
  }
  return comparison;
}

std::string to_text(const MultiLabelComparison& comparison, const std::string& a, const std::string& b) {
  const auto& [only_first, only_second] = comparison.exact;
  const std::string verdict = comparison.p_value >= 0.05 ? "No difference beyond chance in subset accuracy."
                                                         : fmt::format("{} is better in subset accuracy.",
                                                                       only_first > only_second ? "A" : "B");
  return fmt::format(
             "A  {}\nB  {}\n\n{}; A alone has all labels right on {}, B alone on {}.\nMcNemar's exact test: "
             "{}. {}\n",
             a, b, how_many(comparison.texts, "text"), only_first, only_second, p_value_text(comparison.p_value),
             verdict) +
         measures_table("", comparison.measures) + measures_table("micro F1 by source", comparison.per_source) +
         measures_table("F1 by label", comparison.per_label);
}

std::string to_json(const MultiLabelComparison& comparison, const std::string& a, const std::string& b) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("a", a).member("b", b).member("texts", comparison.texts);
  json.member("only_a_right", comparison.exact.only_first).member("only_b_right", comparison.exact.only_second);
  json.member("p_value", comparison.p_value);
  write_measures(json, "measures", comparison.measures);
  write_measures(json, "f1_per_label", comparison.per_label);
  write_measures(json, "micro_f1_per_source", comparison.per_source);
  return json.end().take();
}

std::string chart_of(const MultiLabelComparison& comparison, const std::string& a, const std::string& b) {
  return difference_chart(
      fmt::format("{} (B) minus {} (A)", b, a),
      {group_of("All texts", comparison.measures), group_of("Micro F1 by source", comparison.per_source),
       group_of("F1 by label", comparison.per_label)});
}

}  // namespace qing::serve::cli
