// Metrics of a classifier's predictions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qing::nn {

/// Scores of one label, 0 to 1; a ratio whose denominator is 0 is 0, as in scikit-learn.
struct LabelMetrics {
  double precision = 0;  ///< the share of the predictions of this label that are right
  double recall = 0;     ///< the share of this label's examples that were predicted
  double f1 = 0;         ///< harmonic mean of the two
  int64_t support = 0;   ///< how many examples have this label
};

/// Confusion matrix: counts of (expected, predicted) pairs, and metrics computed from them. Concurrent reads are safe;
/// add() is not thread-safe.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t labels);  ///< ValueError unless labels ≥ 1.

  void add(int64_t expected, int64_t predicted);  ///< IndexError when either is not a label.
  int64_t labels() const { return labels_; }
  int64_t count(int64_t expected, int64_t predicted) const;  ///< IndexError
  int64_t total() const { return total_; }

  double accuracy() const;  ///< 0 without examples
  LabelMetrics label(int64_t label) const;
  /// Means over the labels with at least one expected example; a label without examples has no recall to average.
  double macro_recall() const;
  double macro_f1() const;

 private:
  size_t index(int64_t expected, int64_t predicted) const;
  double macro(double LabelMetrics::*field) const;

  int64_t labels_;
  int64_t total_ = 0;
  std::vector<int64_t> counts_;  // row-major: one row per expected label
};

}  // namespace qing::nn
