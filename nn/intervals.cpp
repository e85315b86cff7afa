#include <qing/nn/intervals.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

namespace qing::nn {

Interval wilson_interval(int64_t successes, int64_t total, double z) {
  if (successes < 0 || successes > total || !(z > 0)) {
    throw ValueError(fmt::format("wilson_interval: {} successes of {}, z = {}; they must be in [0, total] and above 0",
                                 successes, total, z));
  }
  if (total == 0) return {0, 1};
  const auto n = static_cast<double>(total);
  const double p = static_cast<double>(successes) / n, square = z * z;
  const double center = (p + square / (2 * n)) / (1 + square / n);
  const double half = z / (1 + square / n) * std::sqrt(p * (1 - p) / n + square / (4 * n * n));
  // Rounding could move the lower end of no successes off 0, and the upper end of all successes off 1.
  return {successes == 0 ? 0 : std::max(0.0, center - half), successes == total ? 1 : std::min(1.0, center + half)};
}

Interval middle_share(std::vector<double> values, double level) {
  if (values.empty()) throw ValueError("middle_share: no values; give at least one");
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
  };
  return {at((1 - level) / 2), at((1 + level) / 2)};
}

namespace {

void check_resamples(int64_t resamples, double level) {
  if (resamples >= 1 && level > 0 && level < 1) return;
  throw ValueError(
      fmt::format("bootstrap: {} resamples at level {}; they must be at least 1 and in (0, 1)", resamples, level));
}

}  // namespace

std::vector<double> values_on_resamples(int64_t examples, int64_t resamples, double level, uint64_t seed,
                                        const std::function<double(std::span<const int64_t>)>& value_of) {
  check_resamples(resamples, level);
  std::vector<double> values(static_cast<size_t>(resamples));
  parallel_for(resamples, 1, [&](int64_t begin, int64_t end) {
    Tensor draws = Tensor::empty({examples}, DType::i64);
    for (int64_t i = begin; i < end; ++i) {
      Generator rng;
      rng.restore(seed, static_cast<uint64_t>(i));
      rng.fill_integers(draws, 0, examples);
      values[static_cast<size_t>(i)] = value_of(draws.span<int64_t>());
    }
  });
  return values;
}

Interval bootstrap_interval(const ConfusionMatrix& matrix, const std::function<double(const ConfusionMatrix&)>& metric,
                            int64_t resamples, double level, uint64_t seed) {
  check_resamples(resamples, level);
  if (matrix.total() == 0) return {};
  std::vector<std::pair<int32_t, int32_t>> examples;
  for (int64_t row = 0; row < matrix.labels(); ++row) {
    for (int64_t column = 0; column < matrix.labels(); ++column) {
      const std::pair cell(static_cast<int32_t>(row), static_cast<int32_t>(column));
      examples.insert(examples.end(), static_cast<size_t>(matrix.count(row, column)), cell);
    }
  }
  return middle_share(values_on_resamples(matrix.total(), resamples, level, seed,
                                          [&](std::span<const int64_t> draws) {
                                            ConfusionMatrix resample(matrix.labels());
                                            for (const int64_t draw : draws) {
                                              const auto [row, column] = examples[static_cast<size_t>(draw)];
                                              resample.add(row, column);
                                            }
                                            return metric(resample);
                                          }),
                      level);
}

}  // namespace qing::nn
