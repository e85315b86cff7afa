#include <qing/nn/number_comparison.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include <qing/nn/scale_metrics.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

void check_pairs(const char* what, std::span<const double> a, std::span<const double> b) {
  if (a.size() == b.size()) return;
  throw ShapeError(fmt::format("{}: {} and {} numbers; give one of each for an example", what, a.size(), b.size()));
}

std::vector<double> chosen_of(std::span<const double> values, std::span<const int64_t> draws) {
  std::vector<double> chosen;
  chosen.reserve(draws.size());
  for (const int64_t draw : draws) chosen.push_back(values[static_cast<size_t>(draw)]);
  return chosen;
}

// The probability that the sum of the ranks 1 to n that have a positive sign is at most `sum`, when each sign is as
// likely as the other. The counts of up to 2^50 sums are exact in a double.
double signed_rank_share(size_t n, double sum) {
  std::vector<double> ways(n * (n + 1) / 2 + 1);
  ways[0] = 1;
  for (size_t rank = 1; rank <= n; ++rank) {
    for (size_t i = ways.size(); i-- > rank;) ways[i] += ways[i - rank];
  }
  double below = 0;
  for (size_t i = 0; i < ways.size() && static_cast<double>(i) <= sum; ++i) below += ways[i];
  return std::ldexp(below, -static_cast<int>(n));
}

}  // namespace

Interval bootstrap_interval(std::span<const double> expected, std::span<const double> predicted,
                            const NumberMetric& metric, int64_t resamples, double level, uint64_t seed) {
  check_pairs("bootstrap_interval", expected, predicted);
  if (expected.empty()) return {};
  return middle_share(values_on_resamples(std::ssize(expected), resamples, level, seed,
                                          [&](std::span<const int64_t> draws) {
                                            return metric(chosen_of(expected, draws), chosen_of(predicted, draws));
                                          }),
                      level);
}

Interval bootstrap_difference(const PairedNumbers& numbers, const NumberMetric& metric, int64_t resamples, double level,
                              uint64_t seed) {
  check_pairs("bootstrap_difference", numbers.expected, numbers.first);
  check_pairs("bootstrap_difference", numbers.expected, numbers.second);
  if (numbers.expected.empty()) return {};
  return middle_share(values_on_resamples(std::ssize(numbers.expected), resamples, level, seed,
                                          [&](std::span<const int64_t> draws) {
                                            const std::vector<double> expected = chosen_of(numbers.expected, draws);
                                            return metric(expected, chosen_of(numbers.second, draws)) -
                                                   metric(expected, chosen_of(numbers.first, draws));
                                          }),
                      level);
}

SignedRankTest wilcoxon_test(std::span<const double> first, std::span<const double> second) {
  constexpr size_t kMostExact = 50;
  check_pairs("wilcoxon_test", first, second);
  std::vector<double> differences, distances;
  for (size_t i = 0; i < first.size(); ++i) {
    const double difference = first[i] - second[i];
    if (std::isnan(difference)) {
      throw ValueError(
          fmt::format("wilcoxon_test: pair {} is {} and {}; they need a difference", i, first[i], second[i]));
    }
    if (difference == 0) continue;
    differences.push_back(difference);
    distances.push_back(std::abs(difference));
  }
  if (differences.empty()) return {};
  const std::vector<double> ranks = ranks_of(distances);
  double positive = 0;
  for (size_t i = 0; i < ranks.size(); ++i) positive += differences[i] > 0 ? ranks[i] : 0;
  std::ranges::sort(distances);
  double tied = 0;
  for (size_t begin = 0; begin < distances.size();) {
    const auto end = static_cast<size_t>(std::ranges::upper_bound(distances, distances[begin]) - distances.begin());
    const auto count = static_cast<double>(end - begin);
    tied += count * count * count - count;
    begin = end;
  }
  const auto n = static_cast<double>(ranks.size());
  const double all = n * (n + 1) / 2, rank_difference = 2 * positive - all;
  if (ranks.size() <= kMostExact && tied == 0) {
    return {std::min(1.0, 2 * signed_rank_share(ranks.size(), std::min(positive, all - positive))), rank_difference};
  }
  const double variance = (n * (n + 1) * (2 * n + 1) - tied / 2) / 24;
  return {std::erfc(std::abs(positive - all / 2) / std::sqrt(2 * variance)), rank_difference};
}

}  // namespace qing::nn
