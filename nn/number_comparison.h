// How sure measures of predicted numbers are, and whether one model of numbers is better than another. All functions
// are thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include <qing/nn/intervals.h>

namespace qing::nn {

/// A measure of predicted numbers, such as mean_absolute_error(expected, predicted) in scale_metrics.h.
using NumberMetric = std::function<double(std::span<const double> expected, std::span<const double> predicted)>;

/// What was expected of each example and what each of two models predicted.
struct PairedNumbers {
  std::span<const double> expected, first, second;
};

/// The percentile bootstrap interval (Efron 1979) that holds the middle share `level` of the metric's values on
/// resamples with replacement. The same seed gives the same interval for any number of threads. Several threads call
/// the metric at once. [0, 0] without examples. O(resamples · examples) calls apart. ShapeError unless both spans have
/// one number for each example; ValueError unless resamples ≥ 1 and level is in (0, 1).
Interval bootstrap_interval(std::span<const double> expected, std::span<const double> predicted,
                            const NumberMetric& metric, int64_t resamples = 1000, double level = 0.95,
                            uint64_t seed = 42);

/// The same of metric(expected, second) - metric(expected, first): both models get the same resample.
Interval bootstrap_difference(const PairedNumbers& numbers, const NumberMetric& metric, int64_t resamples = 1000,
                              double level = 0.95, uint64_t seed = 42);

struct SignedRankTest {
  double p_value = 1;  ///< two-sided
  /// The ranks of the positive differences, first - second, minus those of the negative ones. Below 0 the numbers of
  /// `first` are the smaller ones.
  double rank_difference = 0;
};

/// Wilcoxon's signed-rank test (Biometrics Bulletin 1, 1945) of the hypothesis that the pairs' differences are
/// symmetric about 0. Pairs without a difference do not count, and equal differences share their mean rank. At most 50
/// differences without ties have the exact distribution, and others the normal one with the correction for ties and
/// none for continuity: scipy.stats.wilcoxon(first, second, zero_method="wilcox", correction=False) with the methods
/// "exact" and "asymptotic". The p-value is 1 without differences. ShapeError for spans of other lengths; ValueError
/// for NaN.
SignedRankTest wilcoxon_test(std::span<const double> first, std::span<const double> second);

}  // namespace qing::nn
