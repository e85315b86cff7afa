// Two versions of a model of several labels, or of numbers, on the same labelled texts, and the rule by which the newer
// may replace the older.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/text_classifier.h>

namespace qing::serve {

struct KindComparison {
  /// Why the newer version must not replace the older one; empty: it may. Several labels: fewer texts have exactly
  /// their labels beyond chance (McNemar's exact test at 5%), or the 95% interval of the difference in micro-F1 or
  /// macro-F1 lies below 0. Numbers: the absolute errors are greater (Wilcoxon's signed-rank test at 5%), or the
  /// interval of the difference in the root mean squared error lies above 0. Sources and languages of at least 20 texts
  /// are judged by the interval of their micro-F1, or of their mean absolute error.
  std::vector<std::string> reasons;
  /// {"problem", "texts", "p_value", "measures": [{"name", "before", "after", "difference_interval"}], "per_label" of
  /// several labels (F1), "per_source", "per_language"}, each as measures with the number of "texts"
  std::string json;
};

/// Both versions are of the same kind, Problem::multi_label or Problem::regression, with the same labels. ValueError
/// for another kind and without texts; DataError for a text that one of them refuses.
KindComparison compare_kinds(std::span<const nn::Example> examples, const nn::TextClassifier& before,
                             const nn::TextClassifier& after);

}  // namespace qing::serve
