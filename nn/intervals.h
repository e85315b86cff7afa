// How far a figure measured on so many examples may be from the truth.
#pragma once

#include <cstdint>
#include <functional>

#include <qing/nn/metrics.h>

namespace qing::nn {

struct Interval {
  double low = 0, high = 0;
};

/// Of a share, 95% by default (Wilson 1927). [0, 1] when total is 0. ValueError unless 0 ≤ successes ≤ total, z > 0.
Interval wilson_interval(int64_t successes, int64_t total, double z = 1.959963984540054);

/// The middle `level` of a metric's values on resamples of the examples with replacement (Efron 1979, percentiles). The
/// same seed gives the same interval for any number of threads; the metric is called from several. [0, 0] without
/// examples. O(resamples · total). ValueError unless resamples ≥ 1 and level is in (0, 1).
Interval bootstrap_interval(const ConfusionMatrix& matrix, const std::function<double(const ConfusionMatrix&)>& metric,
                            int64_t resamples = 1000, double level = 0.95, uint64_t seed = 42);

}  // namespace qing::nn
