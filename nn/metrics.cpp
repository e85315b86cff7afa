#include <qing/nn/metrics.h>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

double ratio(double numerator, double denominator) { return denominator == 0 ? 0 : numerator / denominator; }

}  // namespace

ConfusionMatrix::ConfusionMatrix(int64_t labels) : labels_(labels) {
  if (labels < 1) throw ValueError(fmt::format("ConfusionMatrix: {} labels; give at least 1", labels));
  counts_.resize(static_cast<size_t>(labels * labels));
}

size_t ConfusionMatrix::index(int64_t expected, int64_t predicted) const {
  if (expected < 0 || expected >= labels_ || predicted < 0 || predicted >= labels_) {
    throw IndexError(fmt::format("ConfusionMatrix: expected {}, predicted {}, but labels are 0 to {}", expected,
                                 predicted, labels_ - 1));
  }
  return static_cast<size_t>(expected * labels_ + predicted);
}

void ConfusionMatrix::add(int64_t expected, int64_t predicted) {
  ++counts_[index(expected, predicted)];
  ++total_;
}

int64_t ConfusionMatrix::count(int64_t expected, int64_t predicted) const {
  return counts_[index(expected, predicted)];
}

double ConfusionMatrix::accuracy() const {
  int64_t right = 0;
  for (int64_t i = 0; i < labels_; ++i) right += count(i, i);
  return ratio(static_cast<double>(right), static_cast<double>(total_));
}

LabelMetrics ConfusionMatrix::label(int64_t label) const {
  const auto right = static_cast<double>(count(label, label));
  int64_t predicted = 0;
  LabelMetrics metrics;
  for (int64_t i = 0; i < labels_; ++i) {
    metrics.support += count(label, i);
    predicted += count(i, label);
  }
  metrics.precision = ratio(right, static_cast<double>(predicted));
  metrics.recall = ratio(right, static_cast<double>(metrics.support));
  // This equals the harmonic mean, but avoids 0/0.
  metrics.f1 = ratio(2 * right, static_cast<double>(predicted + metrics.support));
  return metrics;
}

double ConfusionMatrix::macro(double LabelMetrics::*field) const {
  double sum = 0;
  int64_t present = 0;
  for (int64_t i = 0; i < labels_; ++i) {
    const LabelMetrics metrics = label(i);
    if (metrics.support == 0) continue;
    sum += metrics.*field;
    ++present;
  }
  return ratio(sum, static_cast<double>(present));
}

double ConfusionMatrix::macro_recall() const { return macro(&LabelMetrics::recall); }
double ConfusionMatrix::macro_f1() const { return macro(&LabelMetrics::f1); }

}  // namespace qing::nn
