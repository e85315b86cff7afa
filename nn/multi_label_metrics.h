// Metrics of predictions with any number of labels for each example. The numbers are scikit-learn's with
// zero_division=0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <qing/nn/intervals.h>
#include <qing/nn/metrics.h>

namespace qing::nn {

/// Counts of right and wrong labels. Concurrent reads are safe; add() is not thread-safe.
class MultiLabelCounts {
 public:
  explicit MultiLabelCounts(int64_t labels);  ///< ValueError unless labels ≥ 1.

  /// One example: its labels and the predicted ones, each ascending and without repetition. IndexError for one that is
  /// no label.
  void add(std::span<const int32_t> expected, std::span<const int32_t> predicted);
  int64_t labels() const { return static_cast<int64_t>(per_label_.size()); }
  int64_t total() const { return total_; }      ///< examples
  int64_t matches() const { return matches_; }  ///< examples with exactly the expected labels

  double subset_accuracy() const;  ///< the share of the matches; 0 without examples
  double hamming_loss() const;     ///< the share of wrong decisions among examples · labels; 0 without examples
  LabelMetrics label(int64_t label) const;  ///< IndexError
  LabelMetrics micro() const;               ///< of all decisions together; support counts labels, not examples
  /// The mean over all labels, with those that no example has; its support is that of micro().
  LabelMetrics macro() const;

 private:
  struct Counts {
    int64_t right = 0, predicted = 0, expected = 0;
    LabelMetrics metrics() const;
  };
  void check(std::span<const int32_t> labels) const;

  std::vector<Counts> per_label_;
  int64_t total_ = 0, matches_ = 0;
};

/// The labels of an example, and the predicted ones. The spans live as long as what they were made of.
struct LabelSets {
  std::span<const int32_t> expected, predicted;
};

/// bootstrap_interval() for these counts: the metric on resamples of the examples with replacement. The same seed gives
/// the same interval for any number of threads. [0, 0] without examples. Several threads call the metric at once.
Interval bootstrap_interval(std::span<const LabelSets> examples, int64_t labels,
                            const std::function<double(const MultiLabelCounts&)>& metric, int64_t resamples = 1000,
                            double level = 0.95, uint64_t seed = 42);

/// The interval of metric(second) - metric(first) on resamples of the examples, which are the same for both. ValueError
/// unless both have the same number of examples; otherwise as bootstrap_interval().
Interval bootstrap_difference(std::span<const LabelSets> first, std::span<const LabelSets> second, int64_t labels,
                              const std::function<double(const MultiLabelCounts&)>& metric, int64_t resamples = 1000,
                              double level = 0.95, uint64_t seed = 42);

/// Precision and recall of one label at a threshold: scores from the threshold on are predictions of the label.
struct PrecisionRecall {
  double threshold = 0, precision = 0, recall = 0;
};

/// Scores of one label, one for each example, and which examples have it.
struct ScoredLabel {
  std::vector<float> scores;
  std::vector<bool> expected;
};

/// One point for each different score, thresholds ascending, so that recall descends. Empty without examples. Without
/// an example that has the label all recalls are 1, as scikit-learn has it. ShapeError for different numbers of both.
std::vector<PrecisionRecall> precision_recall_curve(const ScoredLabel& label);

/// The sum over the points of the curve, from the greatest threshold down, of the rise of recall times the precision. 0
/// without an example that has the label.
double average_precision(const ScoredLabel& label);

/// The threshold with the greatest F1 on the examples, halfway between the two scores that it separates. Of equal ones
/// the nearest to 0.5 counts, and the smaller of two. 0.5 without an example that has the label, or without one that
/// lacks it. In (0, 1).
double best_f1_threshold(const ScoredLabel& label);

}  // namespace qing::nn
