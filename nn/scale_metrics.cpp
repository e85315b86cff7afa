#include <qing/nn/scale_metrics.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

void check_number_pairs(const char* what, std::span<const double> expected, std::span<const double> predicted) {
  if (expected.size() == predicted.size()) return;
  throw ShapeError(fmt::format("{}: {} expected numbers and {} predicted ones; give one each", what, expected.size(),
                               predicted.size()));
}

double mean_of(std::span<const double> values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + end + 1) / 2;
    begin = end;
  }
  return ranks;
}

double quadratic_weighted_kappa(const ConfusionMatrix& matrix) {
  const int64_t labels = matrix.labels();
  std::vector<double> expected(static_cast<size_t>(labels)), predicted(static_cast<size_t>(labels));
  double found = 0;
  for (int64_t i = 0; i < labels; ++i) {
    for (int64_t j = 0; j < labels; ++j) {
      const auto count = static_cast<double>(matrix.count(i, j));
      expected[static_cast<size_t>(i)] += count;
      predicted[static_cast<size_t>(j)] += count;
      found += static_cast<double>((i - j) * (i - j)) * count;
    }
  }
  double chance = 0;
  for (int64_t i = 0; i < labels; ++i) {
    for (int64_t j = 0; j < labels; ++j) {
      chance +=
          static_cast<double>((i - j) * (i - j)) * expected[static_cast<size_t>(i)] * predicted[static_cast<size_t>(j)];
    }
  }
  return chance == 0 ? 0 : 1 - found * static_cast<double>(matrix.total()) / chance;
}

double mean_absolute_error(const ConfusionMatrix& matrix, std::span<const double> places) {
  if (std::ssize(places) != matrix.labels()) {
    throw ShapeError(
        fmt::format("mean_absolute_error: {} places for {} labels; give one each", places.size(), matrix.labels()));
  }
  double sum = 0;
  for (int64_t i = 0; i < matrix.labels(); ++i) {
    for (int64_t j = 0; j < matrix.labels(); ++j) {
      sum += std::abs(places[static_cast<size_t>(i)] - places[static_cast<size_t>(j)]) *
             static_cast<double>(matrix.count(i, j));
    }
  }
  return matrix.total() == 0 ? 0 : sum / static_cast<double>(matrix.total());
}

double mean_absolute_error(std::span<const double> expected, std::span<const double> predicted) {
  check_number_pairs("mean_absolute_error", expected, predicted);
  double sum = 0;
  for (size_t i = 0; i < expected.size(); ++i) sum += std::abs(expected[i] - predicted[i]);
  return expected.empty() ? 0 : sum / static_cast<double>(expected.size());
}

double mean_squared_error(std::span<const double> expected, std::span<const double> predicted) {
  check_number_pairs("mean_squared_error", expected, predicted);
  double sum = 0;
  for (size_t i = 0; i < expected.size(); ++i) sum += (expected[i] - predicted[i]) * (expected[i] - predicted[i]);
  return expected.empty() ? 0 : sum / static_cast<double>(expected.size());
}

double root_mean_squared_error(std::span<const double> expected, std::span<const double> predicted) {
  return std::sqrt(mean_squared_error(expected, predicted));
}

double pearson_correlation(std::span<const double> expected, std::span<const double> predicted) {
  check_number_pairs("pearson_correlation", expected, predicted);
  const double mean_x = mean_of(expected), mean_y = mean_of(predicted);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double x = expected[i] - mean_x, y = predicted[i] - mean_y;
    xy += x * y;
    xx += x * x;
    yy += y * y;
  }
  if (xx == 0 || yy == 0) return 0;
  return std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

double spearman_correlation(std::span<const double> expected, std::span<const double> predicted) {
  check_number_pairs("spearman_correlation", expected, predicted);
  return pearson_correlation(ranks_of(expected), ranks_of(predicted));
}

}  // namespace qing::nn
