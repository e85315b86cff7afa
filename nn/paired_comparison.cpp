#include <qing/nn/paired_comparison.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>

#include <qing/tensor/errors.h>

namespace qing::nn {

Discordant discordant(std::span<const PairedOutcome> outcomes) {
  Discordant counts;
  for (const PairedOutcome& outcome : outcomes) {
    const bool first = outcome.first == outcome.expected, second = outcome.second == outcome.expected;
    if (first && !second) ++counts.only_first;
    if (second && !first) ++counts.only_second;
  }
  return counts;
}

namespace {

void check_counts(const char* who, const Discordant& counts) {
  if (std::min(counts.only_first, counts.only_second) >= 0) return;
  throw ValueError(
      fmt::format("{}: {} and {} discordant examples; counts start at 0", who, counts.only_first, counts.only_second));
}

}  // namespace

double corrected_mcnemar_p_value(const Discordant& counts) {
  check_counts("corrected_mcnemar_p_value", counts);
  const int64_t all = counts.only_first + counts.only_second;
  if (all == 0) return 1;
  const auto apart = static_cast<double>(std::max<int64_t>(0, std::abs(counts.only_first - counts.only_second) - 1));
  return std::erfc(apart / std::sqrt(2 * static_cast<double>(all)));
}

double mcnemar_p_value(const Discordant& counts) {
  check_counts("mcnemar_p_value", counts);
  const int64_t fewer = std::min(counts.only_first, counts.only_second), all = counts.only_first + counts.only_second;
  // The logarithm of the binomial coefficient over 2^all, since the power alone is too small for a double where there
  // are more than 1074 examples.
  double log_term = -static_cast<double>(all) * std::log(2.0), tail = 0;
  for (int64_t i = 0; i <= fewer; ++i) {
    if (i > 0) log_term += std::log(static_cast<double>(all - i + 1) / static_cast<double>(i));
    tail += std::exp(log_term);
  }
  return std::min(1.0, 2 * tail);
}

Interval bootstrap_difference(std::span<const PairedOutcome> outcomes, int64_t labels,
                              const std::function<double(const ConfusionMatrix&)>& metric, int64_t resamples,
                              double level, uint64_t seed) {
  const auto difference = [&](std::span<const int64_t> draws) {
    ConfusionMatrix first(labels), second(labels);
    for (const int64_t draw : draws) {
      const PairedOutcome& outcome = outcomes[static_cast<size_t>(draw)];
      first.add(outcome.expected, outcome.first);
      second.add(outcome.expected, outcome.second);
    }
    return metric(second) - metric(first);
  };
  if (outcomes.empty()) return {};
  return middle_share(values_on_resamples(std::ssize(outcomes), resamples, level, seed, difference), level);
}

}  // namespace qing::nn
