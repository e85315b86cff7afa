// Calibration of a classifier: how far its scores are from its accuracy, and the temperature that corrects them. All
// functions are thread-safe.
#pragma once

#include <cstdint>
#include <span>

namespace qing::nn {

/// Logits of n examples, one row per example with one column per label, and the true labels. All functions below throw
/// ShapeError unless there are as many rows as true labels, and IndexError for a true label without a column. Without
/// examples they return 0, and fit_temperature returns 1.
struct LabelledLogits {
  std::span<const float> logits;  ///< [n, labels], row-major
  std::span<const int32_t> expected;
  int64_t labels;
};

/// Mean of −log softmax(logits / temperature)[expected].
double log_loss(const LabelledLogits& data, double temperature = 1);

/// Mean distance between confidence (the greatest score) and accuracy over `bins` equally wide bins of confidence,
/// weighted by their examples (Naeini et al. 2015). 0 is best.
double expected_calibration_error(const LabelledLogits& data, double temperature = 1, int64_t bins = 15);

inline constexpr double kLeastTemperature = 0.05, kGreatestTemperature = 20;
/// The temperature in [kLeastTemperature, kGreatestTemperature] with the least cross-entropy (Guo et al. 2017) against
/// smoothed targets (Platt 1999). An example whose label n examples share has the target (n + 1)/(n + labels) for that
/// label and 1/(n + labels) for each other one: with Laplace's rule of succession n examples allow no greater
/// confidence. Without the smoothing, examples that are all right drive the temperature to 0. The loss is convex in
/// 1/temperature, so the minimum is the only one.
double fit_temperature(const LabelledLogits& data);

}  // namespace qing::nn
