#include <qing/serve/reports/number_comparison.h>

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <utility>

#include <qing/nn/scale_metrics.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

double mae_of_numbers(std::span<const double> expected, std::span<const double> predicted) {
  return nn::mean_absolute_error(expected, predicted);
}

ComparedMeasure measured_numbers(std::string name, const nn::PairedNumbers& numbers, const nn::NumberMetric& metric) {
  return {std::move(name), metric(numbers.expected, numbers.first), metric(numbers.expected, numbers.second),
          nn::bootstrap_difference(numbers, metric)};
}

std::vector<double> absolute_errors(std::span<const double> expected, std::span<const double> predicted) {
  std::vector<double> errors;
  for (size_t i = 0; i < expected.size(); ++i) errors.push_back(std::abs(expected[i] - predicted[i]));
  return errors;
}

nn::SignedRankTest test_of(const nn::PairedNumbers& numbers) {
  return nn::wilcoxon_test(absolute_errors(numbers.expected, numbers.first),
                           absolute_errors(numbers.expected, numbers.second));
}

// The errors divided by the first model's. An error of 0 has no shares.
std::vector<ComparedMeasure> as_shares(const std::vector<ComparedMeasure>& measures) {
  std::vector<ComparedMeasure> shares;
  for (const ComparedMeasure& one : measures) {
    if (one.first == 0) continue;
    shares.push_back(
        {one.name, 1, one.second / one.first, {one.difference.low / one.first, one.difference.high / one.first}});
  }
  return shares;
}

struct SourceNumbers {
  std::vector<double> expected, first, second;
};

void require_same_texts(const NumberEvaluation& first, const NumberEvaluation& second) {
  if (first.expected != second.expected || first.expected.empty()) {
    throw ValueError("compare: both evaluations must be of the same texts, and of one text at least");
  }
}

}  // namespace

std::vector<ComparedMeasure> compare_sources(const NumberEvaluation& first, const NumberEvaluation& second) {
  require_same_texts(first, second);
  std::map<std::string, SourceNumbers> sources;
  for (size_t i = 0; i < first.expected.size(); ++i) {
    SourceNumbers& source = sources[first.sources[i]];
    source.expected.push_back(first.expected[i]);
    source.first.push_back(first.predicted[i]);
    source.second.push_back(second.predicted[i]);
  }
  std::vector<ComparedMeasure> compared;
  compared.reserve(sources.size());
  for (const auto& [name, source] : sources) {
    compared.push_back(measured_numbers(name, {source.expected, source.first, source.second}, mae_of_numbers));
  }
  return compared;
}

NumberComparison compare(const NumberEvaluation& first, const NumberEvaluation& second) {
  require_same_texts(first, second);
  const nn::PairedNumbers all{first.expected, first.predicted, second.predicted};
  NumberComparison comparison{.texts = std::ssize(first.expected), .test = test_of(all)};
  for (size_t i = 0; i < first.expected.size(); ++i) {
    const double a = std::abs(first.expected[i] - first.predicted[i]);
    const double b = std::abs(first.expected[i] - second.predicted[i]);
    comparison.closer_first += a < b ? 1 : 0;
    comparison.closer_second += b < a ? 1 : 0;
  }
  comparison.errors = {measured_numbers("RMSE", all, nn::root_mean_squared_error),
                       measured_numbers("MAE", all, mae_of_numbers)};
  comparison.correlations = {measured_numbers("Pearson", all, nn::pearson_correlation),
                             measured_numbers("Spearman", all, nn::spearman_correlation)};
  comparison.per_source = compare_sources(first, second);
  return comparison;
}

std::string to_text(const NumberComparison& comparison, const std::string& a, const std::string& b) {
  // The winner is the test's own: the model that is closer on more texts may have the larger errors.
  const std::string verdict =
      comparison.test.p_value >= 0.05
          ? "No difference beyond chance in the absolute errors."
          : fmt::format("{} has the smaller absolute errors.", comparison.test.rank_difference < 0 ? "A" : "B");
  return fmt::format(
             "A  {}\nB  {}\n\n{}; A is closer on {}, B on {}.\nWilcoxon's signed-rank test of the absolute "
             "errors: {}. {}\n",
             a, b, how_many(comparison.texts, "text"), comparison.closer_first, comparison.closer_second,
             p_value_text(comparison.test.p_value), verdict) +
         measures_table("errors", comparison.errors, true) + measures_table("correlations", comparison.correlations) +
         measures_table("MAE by source", comparison.per_source, true);
}

std::string to_json(const NumberComparison& comparison, const std::string& a, const std::string& b) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("a", a).member("b", b).member("texts", comparison.texts);
  json.member("a_closer", comparison.closer_first).member("b_closer", comparison.closer_second);
  json.member("p_value", comparison.test.p_value);
  std::vector<ComparedMeasure> measures = comparison.errors;
  measures.insert(measures.end(), comparison.correlations.begin(), comparison.correlations.end());
  write_measures(json, "measures", measures);
  write_measures(json, "mae_per_source", comparison.per_source);
  return json.end().take();
}

std::string chart_of(const NumberComparison& comparison, const std::string& a, const std::string& b) {
  return difference_chart(fmt::format("{} (B) minus {} (A)", b, a),
                          {group_of("Errors, in percent of A's", as_shares(comparison.errors)),
                           group_of("Correlations", comparison.correlations),
                           group_of("MAE by source, in percent of A's", as_shares(comparison.per_source))});
}

OrdinalComparison compare_ordinal(std::span<const nn::PairedOutcome> outcomes, const nn::PairedNumbers& values,
                                  std::span<const double> places) {
  if (outcomes.empty()) throw ValueError("compare_ordinal: there are no texts; give one at least");
  const auto labels = std::ssize(places);
  using Metric = std::function<double(const nn::ConfusionMatrix&)>;
  const auto measured = [&](const char* name, const Metric& metric) -> ComparedMeasure {
    nn::ConfusionMatrix first(labels), second(labels);
    for (const nn::PairedOutcome& outcome : outcomes) {
      first.add(outcome.expected, outcome.first);
      second.add(outcome.expected, outcome.second);
    }
    return {name, metric(first), metric(second), nn::bootstrap_difference(outcomes, labels, metric)};
  };
  return {
      .p_value = test_of(values).p_value,
      .measures = {
          measured("quadratic weighted kappa", nn::quadratic_weighted_kappa),
          measured("MAE", [&](const nn::ConfusionMatrix& matrix) { return nn::mean_absolute_error(matrix, places); }),
          measured_numbers("MAE of expected value", values, mae_of_numbers)}};
}

std::string to_text(const OrdinalComparison& comparison) {
  return measures_table("ordered labels", comparison.measures) +
         fmt::format("Wilcoxon's signed-rank test of the absolute errors of the expected values: {}.\n",
                     p_value_text(comparison.p_value));
}

void write_json(JsonWriter& json, const OrdinalComparison& comparison) {
  json.key("ordinal").begin_object();
  write_measures(json, "measures", comparison.measures);
  json.member("p_value", comparison.p_value).end();
}

}  // namespace qing::serve::cli
