#include "kind_comparison.h"

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/files/scripts.h>
#include <qing/serve/reports/multi_label_comparison.h>
#include <qing/serve/reports/number_comparison.h>
#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/runs/number_evaluation.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

constexpr std::int64_t kLeastOfGroup = 20;  // the bootstrap of fewer texts says little

struct Group {
  std::string kind, name;  // "source", "en"
  std::int64_t texts = 0;
  cli::ComparedMeasure measure = {};
};

std::map<std::string, std::int64_t> counted(const std::vector<std::string>& names) {
  std::map<std::string, std::int64_t> counts;
  for (const std::string& name : names) ++counts[name];
  return counts;
}

void add_groups(std::vector<Group>& groups, const char* kind, const std::vector<std::string>& names,
                const std::vector<cli::ComparedMeasure>& measures) {
  const std::map<std::string, std::int64_t> counts = counted(names);
  for (const cli::ComparedMeasure& one : measures) groups.push_back({kind, one.name, counts.at(one.name), one});
}

// The texts by their sources, then by their languages, which take the place of the sources in both evaluations.
template <class Evaluation>
std::vector<Group> groups_of(std::span<const nn::Example> examples, Evaluation& first, Evaluation& second,
                             const std::vector<cli::ComparedMeasure>& per_source) {
  std::vector<Group> groups;
  add_groups(groups, "source", first.sources, per_source);
  for (size_t i = 0; i < examples.size(); ++i) {
    first.sources[i] = second.sources[i] = std::string(language_by_script(examples[i].text));
  }
  add_groups(groups, "language", first.sources, compare_sources(first, second));
  return groups;
}

std::string reason(const std::string& where, std::string_view what, const cli::ComparedMeasure& one) {
  return fmt::format("{}: {} {:.4g} after {:.4g} (difference {:.4g} to {:.4g})", where, what, one.second, one.first,
                     one.difference.low, one.difference.high);
}

std::string reason(std::string_view what, const cli::ComparedMeasure& one, double p_value) {
  return fmt::format("all texts: {} {:.4g} after {:.4g} (p = {:.2g})", what, one.second, one.first, p_value);
}

void judge_groups(std::vector<std::string>& reasons, const std::vector<Group>& groups, std::string_view what,
                  bool errors) {
  for (const Group& group : groups) {
    const nn::Interval& difference = group.measure.difference;
    const bool worse = errors ? difference.low > 0 : difference.high < 0;
    if (worse && group.texts >= kLeastOfGroup) {
      reasons.push_back(reason(fmt::format("{} {}", group.kind, group.name), what, group.measure));
    }
  }
}

void write_measure(JsonWriter& json, const cli::ComparedMeasure& one) {
  json.member("name", one.name).member("before", one.first).member("after", one.second);
  json.key("difference_interval").begin_array().value(one.difference.low).value(one.difference.high).end();
}

void write_list(JsonWriter& json, std::string_view name, const std::vector<cli::ComparedMeasure>& measures) {
  json.key(name).begin_array();
  for (const cli::ComparedMeasure& one : measures) {
    json.begin_object();
    write_measure(json, one);
    json.end();
  }
  json.end();
}

void write_groups(JsonWriter& json, std::string_view name, std::string_view kind, const std::vector<Group>& groups) {
  json.key(name).begin_array();
  for (const Group& group : groups) {
    if (group.kind != kind) continue;
    json.begin_object().member("texts", group.texts);
    write_measure(json, group.measure);
    json.end();
  }
  json.end();
}

struct MeasureList {
  std::string_view name;
  const std::vector<cli::ComparedMeasure>& measures;
};

std::string json_of(nn::Problem problem, std::int64_t texts, double p_value, std::initializer_list<MeasureList> lists,
                    const std::vector<Group>& groups) {
  JsonWriter json;
  json.begin_object().member("problem", name_of(problem)).member("texts", texts).member("p_value", p_value);
  for (const auto& [name, measures] : lists) write_list(json, name, measures);
  write_groups(json, "per_source", "source", groups);
  write_groups(json, "per_language", "language", groups);
  return json.end().take();
}

KindComparison compare_sets(std::span<const nn::Example> examples, const nn::TextClassifier& before,
                            const nn::TextClassifier& after) {
  cli::MultiLabelEvaluation first = cli::evaluate_multi_label(before, examples),
                            second = cli::evaluate_multi_label(after, examples);
  const cli::MultiLabelComparison all = compare(first, second);
  const std::vector<Group> groups = groups_of(examples, first, second, all.per_source);
  KindComparison result;
  const cli::ComparedMeasure &micro = all.measures[0], &macro = all.measures[1], &subset = all.measures[2];
  if (all.p_value < 0.05 && all.exact.only_first > all.exact.only_second) {
    result.reasons.push_back(reason("subset accuracy", subset, all.p_value));
  }
  for (const cli::ComparedMeasure* one : {&micro, &macro}) {
    if (one->difference.high < 0) result.reasons.push_back(reason("all texts", one->name, *one));
  }
  judge_groups(result.reasons, groups, micro.name, false);
  result.json = json_of(before.problem(), all.texts, all.p_value,
                        {{"measures", all.measures}, {"per_label", all.per_label}}, groups);
  return result;
}

KindComparison compare_numbers(std::span<const nn::Example> examples, const nn::TextClassifier& before,
                               const nn::TextClassifier& after) {
  cli::NumberEvaluation first = cli::evaluate_numbers(before, examples),
                        second = cli::evaluate_numbers(after, examples);
  const cli::NumberComparison all = compare(first, second);
  const std::vector<Group> groups = groups_of(examples, first, second, all.per_source);
  KindComparison result;
  const cli::ComparedMeasure &rmse = all.errors[0], &mae = all.errors[1];
  if (all.test.p_value < 0.05 && all.test.rank_difference < 0) {
    result.reasons.push_back(reason(mae.name, mae, all.test.p_value));
  }
  if (rmse.difference.low > 0) result.reasons.push_back(reason("all texts", rmse.name, rmse));
  judge_groups(result.reasons, groups, mae.name, true);
  std::vector<cli::ComparedMeasure> measures = all.errors;
  measures.insert(measures.end(), all.correlations.begin(), all.correlations.end());
  result.json = json_of(before.problem(), all.texts, all.test.p_value, {{"measures", measures}}, groups);
  return result;
}

}  // namespace

KindComparison compare_kinds(std::span<const nn::Example> examples, const nn::TextClassifier& before,
                             const nn::TextClassifier& after) {
  if (examples.empty()) throw ValueError("evaluation set: has no texts; give labelled texts");
  switch (before.problem()) {
    case nn::Problem::multi_label: return compare_sets(examples, before, after);
    case nn::Problem::regression: return compare_numbers(examples, before, after);
    default:
      throw ValueError(
          fmt::format("compare_kinds: {} models are compared by compare_versions()", name_of(before.problem())));
  }
}

}  // namespace qing::serve
