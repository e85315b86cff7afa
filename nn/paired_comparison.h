// Whether one classifier is better than another on the same labelled texts. All functions are thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include <qing/nn/intervals.h>
#include <qing/nn/metrics.h>

namespace qing::nn {

/// The label of an example, and what each classifier predicted.
struct PairedOutcome {
  int32_t expected, first, second;
};

/// The examples that only one of two classifiers got right.
struct Discordant {
  int64_t only_first = 0, only_second = 0;
};
Discordant discordant(std::span<const PairedOutcome> outcomes);

/// The exact two-sided p-value of McNemar's test (Psychometrika 12, 1947): that of a binomial test of the discordant
/// examples with probability 1/2. 1 without discordant examples. ValueError for a count below 0.
double mcnemar_p_value(const Discordant& counts);
/// The p-value of McNemar's chi-square with Edwards' continuity correction (Psychometrika 13, 1948), (|b − c| − 1)² /
/// (b + c) with one degree of freedom: what many programs print. It is close to the exact one from 25 discordant
/// examples on. 1 without discordant examples. ValueError for a count below 0.
double corrected_mcnemar_p_value(const Discordant& counts);

/// The percentile bootstrap interval (Efron 1979) of metric(second) - metric(first) on resamples of the examples with
/// replacement: both classifiers get the same resample. The same seed gives the same interval for any number of
/// threads. Several threads call the metric at once. [0, 0] without examples. O(resamples · examples). ValueError
/// unless resamples ≥ 1 and level is in (0, 1); IndexError for a label that is not below `labels`.
Interval bootstrap_difference(std::span<const PairedOutcome> outcomes, int64_t labels,
                              const std::function<double(const ConfusionMatrix&)>& metric, int64_t resamples = 1000,
                              double level = 0.95, uint64_t seed = 42);

}  // namespace qing::nn
