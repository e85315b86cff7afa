#include <qing/nn/multi_label_metrics.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

double share_of_counts(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

MultiLabelCounts label_counts_of(std::span<const LabelSets> examples, std::span<const int64_t> chosen, int64_t labels) {
  MultiLabelCounts counts(labels);
  for (const int64_t i : chosen) {
    const auto& [expected, predicted] = examples[static_cast<size_t>(i)];
    counts.add(expected, predicted);
  }
  return counts;
}

// The examples in descending order of their scores, and how many have the label.
std::pair<std::vector<size_t>, int64_t> ranked(const char* what, const ScoredLabel& label) {
  if (label.scores.size() != label.expected.size()) {
    throw ShapeError(fmt::format("{}: {} scores and {} examples; give one score each", what, label.scores.size(),
                                 label.expected.size()));
  }
  std::vector<size_t> order(label.scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return label.scores[i]; });
  return {std::move(order), std::ranges::count(label.expected, true)};
}

}  // namespace

LabelMetrics MultiLabelCounts::Counts::metrics() const {
  return {.precision = share_of_counts(right, predicted),
          .recall = share_of_counts(right, expected),
          .f1 = share_of_counts(2 * right, predicted + expected),
          .support = expected};
}

MultiLabelCounts::MultiLabelCounts(int64_t labels) {
  if (labels < 1) throw ValueError(fmt::format("MultiLabelCounts: {} labels; there must be at least 1", labels));
  per_label_.resize(static_cast<size_t>(labels));
}

void MultiLabelCounts::check(std::span<const int32_t> labels) const {
  for (const int32_t label : labels) {
    if (label >= 0 && label < this->labels()) continue;
    throw IndexError(fmt::format("MultiLabelCounts: label {} is outside [0, {})", label, this->labels()));
  }
}

void MultiLabelCounts::add(std::span<const int32_t> expected, std::span<const int32_t> predicted) {
  check(expected);
  check(predicted);
  for (const int32_t label : expected) {
    Counts& one = per_label_[static_cast<size_t>(label)];
    ++one.expected;
    if (std::ranges::binary_search(predicted, label)) ++one.right;
  }
  for (const int32_t label : predicted) ++per_label_[static_cast<size_t>(label)].predicted;
  ++total_;
  if (std::ranges::equal(expected, predicted)) ++matches_;
}

double MultiLabelCounts::subset_accuracy() const { return share_of_counts(matches_, total_); }

double MultiLabelCounts::hamming_loss() const {
  int64_t wrong = 0;
  for (const Counts& one : per_label_) wrong += one.predicted + one.expected - 2 * one.right;
  return share_of_counts(wrong, total_ * labels());
}

LabelMetrics MultiLabelCounts::label(int64_t label) const {
  const auto number = static_cast<int32_t>(label);
  check(std::span(&number, 1));
  return per_label_[static_cast<size_t>(label)].metrics();
}

LabelMetrics MultiLabelCounts::micro() const {
  Counts sum;
  for (const Counts& one : per_label_) {
    sum.right += one.right;
    sum.predicted += one.predicted;
    sum.expected += one.expected;
  }
  return sum.metrics();
}

LabelMetrics MultiLabelCounts::macro() const {
  LabelMetrics mean{.support = micro().support};
  for (const Counts& one : per_label_) {
    const LabelMetrics metrics = one.metrics();
    mean.precision += metrics.precision / static_cast<double>(labels());
    mean.recall += metrics.recall / static_cast<double>(labels());
    mean.f1 += metrics.f1 / static_cast<double>(labels());
  }
  return mean;
}

Interval bootstrap_interval(std::span<const LabelSets> examples, int64_t labels,
                            const std::function<double(const MultiLabelCounts&)>& metric, int64_t resamples,
                            double level, uint64_t seed) {
  if (examples.empty()) return {};
  return middle_share(values_on_resamples(std::ssize(examples), resamples, level, seed,
                                          [&](std::span<const int64_t> draws) {
                                            return metric(label_counts_of(examples, draws, labels));
                                          }),
                      level);
}

Interval bootstrap_difference(std::span<const LabelSets> first, std::span<const LabelSets> second, int64_t labels,
                              const std::function<double(const MultiLabelCounts&)>& metric, int64_t resamples,
                              double level, uint64_t seed) {
  if (first.size() != second.size()) {
    throw ValueError(
        fmt::format("bootstrap_difference: {} and {} examples; both must be the same", first.size(), second.size()));
  }
  if (first.empty()) return {};
  return middle_share(values_on_resamples(std::ssize(first), resamples, level, seed,
                                          [&](std::span<const int64_t> draws) {
                                            return metric(label_counts_of(second, draws, labels)) -
                                                   metric(label_counts_of(first, draws, labels));
                                          }),
                      level);
}

std::vector<PrecisionRecall> precision_recall_curve(const ScoredLabel& label) {
  const auto [order, positives] = ranked("precision_recall_curve", label);
  std::vector<PrecisionRecall> points;
  int64_t right = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (label.expected[order[i]]) ++right;
    const float score = label.scores[order[i]];
    if (i + 1 < order.size() && label.scores[order[i + 1]] == score) continue;
    points.push_back({score, share_of_counts(right, static_cast<int64_t>(i + 1)),
                      positives == 0 ? 1 : share_of_counts(right, positives)});
  }
  std::ranges::reverse(points);
  return points;
}

double average_precision(const ScoredLabel& label) {
  if (std::ranges::count(label.expected, true) == 0) return 0;
  const std::vector<PrecisionRecall> points = precision_recall_curve(label);
  double sum = 0, recall = 0;
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    sum += (point->recall - recall) * point->precision;
    recall = point->recall;
  }
  return sum;
}

double best_f1_threshold(const ScoredLabel& label) {
  constexpr double kDefault = 0.5;
  const auto [order, positives] = ranked("best_f1_threshold", label);
  if (positives == 0 || positives == std::ssize(order)) return kDefault;
  double best_f1 = -1, best = kDefault;
  int64_t right = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (label.expected[order[i]]) ++right;
    const double score = label.scores[order[i]];
    const double below = i + 1 < order.size() ? label.scores[order[i + 1]] : 0;
    if (score == below) continue;
    const double f1 = share_of_counts(2 * right, static_cast<int64_t>(i + 1) + positives);
    // A threshold anywhere between the two scores decides alike here. The middle is furthest from both.
    const double threshold = (score + below) / 2;
    const double nearer = std::abs(threshold - kDefault) - std::abs(best - kDefault);
    if (f1 > best_f1 || (f1 == best_f1 && (nearer < 0 || (nearer == 0 && threshold < best)))) {
      best_f1 = f1;
      best = threshold;
    }
  }
  return std::clamp(best, 1e-6, 1 - 1e-6);
}

}  // namespace qing::nn
