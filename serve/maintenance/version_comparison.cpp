#include "version_comparison.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/files/scripts.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

constexpr size_t kBatchTexts = 64;
constexpr size_t kWorst = 20;

double accuracy_of(const nn::ConfusionMatrix& matrix) { return matrix.accuracy(); }
double macro_recall_of(const nn::ConfusionMatrix& matrix) { return matrix.macro_recall(); }
double macro_f1_of(const nn::ConfusionMatrix& matrix) { return matrix.macro_f1(); }

ComparedMetric compare_metric(std::span<const nn::PairedOutcome> outcomes, std::int64_t labels,
                              double (*metric)(const nn::ConfusionMatrix&)) {
  nn::ConfusionMatrix before(labels), after(labels);
  for (const nn::PairedOutcome& outcome : outcomes) {
    before.add(outcome.expected, outcome.first);
    after.add(outcome.expected, outcome.second);
  }
  return {metric(before), metric(after), nn::bootstrap_difference(outcomes, labels, metric)};
}

ComparedTexts compare_group(std::string name, std::span<const nn::PairedOutcome> outcomes, std::int64_t labels) {
  ComparedTexts group{std::move(name), static_cast<std::int64_t>(outcomes.size())};
  group.accuracy = compare_metric(outcomes, labels, accuracy_of);
  group.discordant = nn::discordant(outcomes);
  group.p_value = nn::mcnemar_p_value(group.discordant);
  return group;
}

std::vector<ComparedTexts> compare_groups(std::span<const JudgedText> texts, std::int64_t labels,
                                          const std::function<std::string(const JudgedText&)>& name_of) {
  std::map<std::string, std::vector<nn::PairedOutcome>> groups;
  for (const JudgedText& text : texts) groups[name_of(text)].push_back({text.expected, text.before, text.after});
  std::vector<ComparedTexts> compared;
  compared.reserve(groups.size());
  for (const auto& [name, outcomes] : groups) compared.push_back(compare_group(name, outcomes, labels));
  return compared;
}

cli::OrdinalComparison compare_places(std::span<const JudgedText> texts, std::span<const nn::PairedOutcome> outcomes,
                                      const std::vector<std::string>& labels) {
  const std::vector<double> places = nn::places_of(labels);
  std::vector<double> expected, before, after;
  for (const JudgedText& text : texts) {
    expected.push_back(places[static_cast<size_t>(text.expected)]);
    before.push_back(text.before_value);
    after.push_back(text.after_value);
  }
  return cli::compare_ordinal(outcomes, {expected, before, after}, places);
}

void write_metric(JsonWriter& json, const ComparedMetric& metric) {
  json.begin_object().member("before", metric.before).member("after", metric.after);
  json.key("difference_interval").begin_array().value(metric.difference.low).value(metric.difference.high).end().end();
}

void write_texts(JsonWriter& json, const ComparedTexts& group) {
  json.begin_object();
  if (!group.name.empty()) json.member("name", group.name);
  json.member("texts", group.texts).key("accuracy");
  write_metric(json, group.accuracy);
  json.member("only_before_right", group.discordant.only_first)
      .member("only_after_right", group.discordant.only_second);
  json.member("p_value", group.p_value).end();
}

void write_groups(JsonWriter& json, std::string_view name, const std::vector<ComparedTexts>& groups) {
  json.key(name).begin_array();
  for (const ComparedTexts& group : groups) write_texts(json, group);
  json.end();
}

}  // namespace

std::vector<JudgedText> judge_texts(std::span<const nn::Example> examples, const nn::TextClassifier& before,
                                    const nn::TextClassifier& after) {
  std::vector<JudgedText> judged;
  judged.reserve(examples.size());
  for (size_t first = 0; first < examples.size(); first += kBatchTexts) {
    const auto batch = examples.subspan(first, std::min(kBatchTexts, examples.size() - first));
    std::vector<std::string> texts;
    for (const nn::Example& example : batch) texts.push_back(example.text);
    const std::vector<nn::Prediction> old_ones = before.predict(texts), new_ones = after.predict(texts);
    for (size_t i = 0; i < batch.size(); ++i) {
      const nn::Prediction& now = new_ones[i];
      judged.push_back({batch[i].label, old_ones[i].label, now.label, now.scores[static_cast<size_t>(now.label)],
                        static_cast<std::int64_t>(first + i + 1), batch[i].source,
                        std::string(language_by_script(batch[i].text)), old_ones[i].value, now.value});
    }
  }
  return judged;
}

VersionComparison compare_versions(std::span<const JudgedText> texts, const std::vector<std::string>& labels,
                                   nn::Problem problem) {
  if (texts.empty()) throw ValueError("evaluation set: has no texts; give labelled texts");
  const auto count = static_cast<std::int64_t>(labels.size());
  std::vector<nn::PairedOutcome> outcomes;
  outcomes.reserve(texts.size());
  for (const JudgedText& text : texts) outcomes.push_back({text.expected, text.before, text.after});
  VersionComparison comparison;
  comparison.all = compare_group({}, outcomes, count);
  comparison.macro_recall = compare_metric(outcomes, count, macro_recall_of);
  comparison.macro_f1 = compare_metric(outcomes, count, macro_f1_of);
  comparison.per_label =
      compare_groups(texts, count, [&](const JudgedText& text) { return labels[static_cast<size_t>(text.expected)]; });
  comparison.per_source = compare_groups(texts, count, [](const JudgedText& text) { return text.source; });
  comparison.per_language = compare_groups(texts, count, [](const JudgedText& text) { return text.language; });
  if (problem == nn::Problem::ordinal) comparison.ordinal = compare_places(texts, outcomes, labels);
  for (const JudgedText& text : texts) {
    if (text.after != text.expected) comparison.worst.push_back(text);
  }
  std::ranges::stable_sort(comparison.worst, std::greater<>(), &JudgedText::score);
  comparison.worst.resize(std::min(comparison.worst.size(), kWorst));
  return comparison;
}

std::vector<std::string> reasons_against(const VersionComparison& comparison) {
  std::vector<std::string> reasons;
  const auto check = [&](const std::string& what, const ComparedTexts& group) {
    if (!group.worse()) return;
    reasons.push_back(fmt::format("{}: accuracy {:.4f} after {:.4f} (p = {:.2g})", what, group.accuracy.after,
                                  group.accuracy.before, group.p_value));
  };
  check("all texts", comparison.all);
  if (const ComparedMetric& recall = comparison.macro_recall; recall.difference.high < 0) {
    reasons.push_back(fmt::format("all texts: macro-recall {:.4f} after {:.4f} (difference {:.4f} to {:.4f})",
                                  recall.after, recall.before, recall.difference.low, recall.difference.high));
  }
  if (comparison.ordinal) {
    // Kappa is worse when it falls, and the error of the expected places, the last measure, when it grows.
    const cli::ComparedMeasure &kappa = comparison.ordinal->measures.front(),
                               &error = comparison.ordinal->measures.back();
    for (const cli::ComparedMeasure* one : {&kappa, &error}) {
      if (one == &kappa ? one->difference.high >= 0 : one->difference.low <= 0) continue;
      reasons.push_back(fmt::format("all texts: {} {:.4f} after {:.4f} (difference {:.4f} to {:.4f})", one->name,
                                    one->second, one->first, one->difference.low, one->difference.high));
    }
  }
  for (const ComparedTexts& group : comparison.per_source) check("source " + group.name, group);
  for (const ComparedTexts& group : comparison.per_language) check("language " + group.name, group);
  return reasons;
}

std::string to_json(const VersionComparison& comparison, const std::vector<std::string>& labels) {
  JsonWriter json;
  json.begin_object().key("all");
  write_texts(json, comparison.all);
  json.key("macro_recall");
  write_metric(json, comparison.macro_recall);
  json.key("macro_f1");
  write_metric(json, comparison.macro_f1);
  write_groups(json, "per_label", comparison.per_label);
  write_groups(json, "per_source", comparison.per_source);
  write_groups(json, "per_language", comparison.per_language);
  json.key("worst_errors").begin_array();
  for (const JudgedText& text : comparison.worst) {
    json.begin_object().member("row", text.row).member("label", labels[static_cast<size_t>(text.expected)]);
    json.member("predicted", labels[static_cast<size_t>(text.after)]).member("score", text.score);
    json.member("before", labels[static_cast<size_t>(text.before)]).end();
  }
  json.end();
  if (comparison.ordinal) cli::write_json(json, *comparison.ordinal);
  return json.end().take();
}

}  // namespace qing::serve
