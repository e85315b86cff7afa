#include <qing/nn/calibration.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr int kBisections = 60;  // enough for the last bits of a double

size_t rows_of(const char* who, const LabelledLogits& data) {
  const size_t rows = data.expected.size();
  if (data.labels < 1 || data.logits.size() != rows * static_cast<size_t>(data.labels)) {
    throw ShapeError(fmt::format("{}: {} logits for {} examples of {} labels; give one row of logits per example", who,
                                 data.logits.size(), rows, data.labels));
  }
  for (size_t i = 0; i < rows; ++i) {
    if (data.expected[i] >= 0 && data.expected[i] < data.labels) continue;
    throw IndexError(
        fmt::format("{}: example {} has label {}; it must be in [0, {})", who, i, data.expected[i], data.labels));
  }
  return rows;
}

std::span<const float> row(const LabelledLogits& data, size_t i) {
  const auto labels = static_cast<size_t>(data.labels);
  return data.logits.subspan(i * labels, labels);
}

// Writes exp(beta·(z − max z)) of each logit to `weights` and returns the sum.
double weigh(std::span<const float> logits, double beta, std::vector<double>& weights) {
  const double greatest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (size_t j = 0; j < logits.size(); ++j) sum += weights[j] = std::exp(beta * (logits[j] - greatest));
  return sum;
}

// Sums over the examples the mean of their logits under the smoothed targets. An example whose label n examples share
// has the target (n + 1)/(n + labels) for that label and 1/(n + labels) for each other one.
double target_logits(const LabelledLogits& data) {
  std::vector<double> shared(static_cast<size_t>(data.labels));
  for (const int32_t label : data.expected) ++shared[static_cast<size_t>(label)];
  double sum = 0;
  for (size_t i = 0; i < data.expected.size(); ++i) {
    const auto logits = row(data, i);
    const auto label = static_cast<size_t>(data.expected[i]);
    const double all = std::accumulate(logits.begin(), logits.end(), 0.0);
    sum += (shared[label] * logits[label] + all) / (shared[label] + static_cast<double>(data.labels));
  }
  return sum;
}

// Sums over the examples the mean of their logits under softmax(beta·logits). The sum increases with beta.
double mean_logits(const LabelledLogits& data, double beta) {
  std::vector<double> weights(static_cast<size_t>(data.labels));
  double sum = 0;
  for (size_t i = 0; i < data.expected.size(); ++i) {
    const auto logits = row(data, i);
    const double total = weigh(logits, beta, weights);
    double mean = 0;
    for (size_t j = 0; j < logits.size(); ++j) mean += weights[j] / total * logits[j];
    sum += mean;
  }
  return sum;
}

}  // namespace

double log_loss(const LabelledLogits& data, double temperature) {
  const size_t rows = rows_of("log_loss", data);
  std::vector<double> weights(static_cast<size_t>(data.labels));
  double sum = 0;
  for (size_t i = 0; i < rows; ++i) {
    const auto logits = row(data, i);
    const double total = weigh(logits, 1 / temperature, weights);
    const double greatest = *std::max_element(logits.begin(), logits.end());
    sum += std::log(total) - (logits[static_cast<size_t>(data.expected[i])] - greatest) / temperature;
  }
  return rows == 0 ? 0 : sum / static_cast<double>(rows);
}

double expected_calibration_error(const LabelledLogits& data, double temperature, int64_t bins) {
  const size_t rows = rows_of("expected_calibration_error", data);
  if (bins < 1) throw ValueError(fmt::format("expected_calibration_error: {} bins; it takes at least 1", bins));
  std::vector<double> gaps(static_cast<size_t>(bins)), weights(static_cast<size_t>(data.labels));
  for (size_t i = 0; i < rows; ++i) {
    const auto logits = row(data, i);
    const double confidence = 1 / weigh(logits, 1 / temperature, weights);
    const auto predicted = std::max_element(logits.begin(), logits.end()) - logits.begin();
    const auto bin = std::min(static_cast<size_t>(confidence * static_cast<double>(bins)), gaps.size() - 1);
    gaps[bin] += (predicted == data.expected[i] ? 1 : 0) - confidence;
  }
  double sum = 0;
  for (const double gap : gaps) sum += std::abs(gap);
  return rows == 0 ? 0 : sum / static_cast<double>(rows);
}

double fit_temperature(const LabelledLogits& data) {
  if (rows_of("fit_temperature", data) == 0) return 1;
  double low = 1 / kGreatestTemperature, high = 1 / kLeastTemperature;
  const double target = target_logits(data);
  // The derivative of the loss by beta = 1/temperature.
  const auto slope = [&](double beta) { return mean_logits(data, beta) - target; };
  if (slope(low) >= 0) return kGreatestTemperature;
  if (slope(high) <= 0) return kLeastTemperature;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (low + high) / 2;
    (slope(middle) < 0 ? low : high) = middle;
  }
  return 2 / (low + high);
}

}  // namespace qing::nn
