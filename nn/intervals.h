// Confidence intervals of metrics measured on a sample. All functions are thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <qing/nn/metrics.h>

namespace qing::nn {

struct Interval {
  double low = 0, high = 0;
};

/// The Wilson (1927) interval of a share, 95% by default. [0, 1] when total is 0. ValueError unless 0 ≤ successes ≤
/// total, z > 0.
Interval wilson_interval(int64_t successes, int64_t total, double z = 1.959963984540054);

/// The interval that holds the middle share `level` of the values. ValueError without values.
Interval middle_share(std::vector<double> values, double level);

/// The values of a statistic on resamples with replacement: `value_of` gets the indices of the examples of each, drawn
/// from [0, examples). The indices depend on the seed and on the number of the resample alone, so statistics with the
/// same seed are paired, and the values are the same for any number of threads. Several threads call `value_of` at
/// once. ValueError unless resamples ≥ 1 and level is in (0, 1).
std::vector<double> values_on_resamples(int64_t examples, int64_t resamples, double level, uint64_t seed,
                                        const std::function<double(std::span<const int64_t>)>& value_of);

/// The percentile bootstrap interval (Efron 1979) that holds the middle share `level` of the metric's values on
/// resamples with replacement. The same seed gives the same interval for any number of threads. Several threads call
/// the metric at once. [0, 0] without examples. O(resamples · total). ValueError unless resamples ≥ 1 and level is in
/// (0, 1).
Interval bootstrap_interval(const ConfusionMatrix& matrix, const std::function<double(const ConfusionMatrix&)>& metric,
                            int64_t resamples = 1000, double level = 0.95, uint64_t seed = 42);

}  // namespace qing::nn
