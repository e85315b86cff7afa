// Two models of numbers, or of ordered labels, on the same texts: which is closer, and by how much.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/number_comparison.h>
#include <qing/nn/paired_comparison.h>
#include <qing/serve/reports/compared_measure.h>
#include <qing/serve/runs/number_evaluation.h>

namespace qing::serve::cli {

struct NumberComparison {
  int64_t texts = 0;
  int64_t closer_first = 0, closer_second = 0;     ///< texts on which one model's absolute error is smaller
  nn::SignedRankTest test = {};                    ///< Wilcoxon's, of the absolute errors
  std::vector<ComparedMeasure> errors = {};        ///< RMSE and MAE, in the unit of the numbers
  std::vector<ComparedMeasure> correlations = {};  ///< Pearson, Spearman
  std::vector<ComparedMeasure> per_source = {};    ///< MAE
};

/// Both evaluations have the same texts. ValueError for other ones and without texts.
NumberComparison compare(const NumberEvaluation& first, const NumberEvaluation& second);
/// `per_source` of that comparison alone.
std::vector<ComparedMeasure> compare_sources(const NumberEvaluation& first, const NumberEvaluation& second);

/// A is the first model, B the second.
std::string to_text(const NumberComparison& comparison, const std::string& a, const std::string& b);
std::string to_json(const NumberComparison& comparison, const std::string& a, const std::string& b);
/// SVG, as difference_chart() draws it: the errors as shares of the first model's, so that their unit does not count.
std::string chart_of(const NumberComparison& comparison, const std::string& a, const std::string& b);

/// What ordered labels have beside accuracy and recall.
struct OrdinalComparison {
  double p_value = 1;  ///< of Wilcoxon's signed-rank test on the absolute errors of the expected places
  std::vector<ComparedMeasure> measures;  ///< quadratic weighted kappa, MAE, and MAE of the expected places
};

/// `values` are the places of the expected labels and the expected places that both models give. One of each for an
/// outcome. ValueError without outcomes; ShapeError, IndexError.
OrdinalComparison compare_ordinal(std::span<const nn::PairedOutcome> outcomes, const nn::PairedNumbers& values,
                                  std::span<const double> places);
std::string to_text(const OrdinalComparison& comparison);
/// "ordinal": {"measures", "p_value"}
void write_json(JsonWriter& json, const OrdinalComparison& comparison);

}  // namespace qing::serve::cli
