// Two multi-label classifiers on the same texts: which is better, and by how much.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <qing/nn/paired_comparison.h>
#include <qing/serve/reports/compared_measure.h>
#include <qing/serve/runs/multi_label_evaluation.h>

namespace qing::serve::cli {

struct MultiLabelComparison {
  int64_t texts = 0;
  nn::Discordant exact;                     ///< texts of which one model alone has all labels right
  double p_value = 1;                       ///< of McNemar's exact test on them
  std::vector<ComparedMeasure> measures;    ///< micro F1, macro F1, subset accuracy
  std::vector<ComparedMeasure> per_label;   ///< F1
  std::vector<ComparedMeasure> per_source;  ///< micro F1
};

/// Both evaluations have the same texts and the same labels in the same order. ValueError for other ones and without
/// texts.
MultiLabelComparison compare(const MultiLabelEvaluation& first, const MultiLabelEvaluation& second);
/// `per_source` of that comparison alone.
std::vector<ComparedMeasure> compare_sources(const MultiLabelEvaluation& first, const MultiLabelEvaluation& second);

/// A is the first model, B the second.
std::string to_text(const MultiLabelComparison& comparison, const std::string& a, const std::string& b);
std::string to_json(const MultiLabelComparison& comparison, const std::string& a, const std::string& b);
/// SVG, as difference_chart() draws it.
std::string chart_of(const MultiLabelComparison& comparison, const std::string& a, const std::string& b);

}  // namespace qing::serve::cli
