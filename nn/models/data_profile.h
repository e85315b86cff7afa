// What a classifier meets in texts, as far as it shows that these are no longer like those it was made for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qing::nn {

struct Prediction;

/// Counts over texts that were predicted.
struct DataProfile {
  int64_t tokens = 0;           ///< special ones included
  int64_t unknown_tokens = 0;   ///< words that the vocabulary has no pieces for
  std::vector<int64_t> labels;  ///< texts by predicted label

  int64_t texts() const;
  double unknown_share() const;            ///< of the tokens; 0 without any
  double label_share(size_t label) const;  ///< of the texts; 0 without any
  /// ShapeError for a label that is no index into `labels`.
  void add(std::span<const Prediction> predictions);
  /// ShapeError for other labels.
  DataProfile& operator+=(const DataProfile& other);
};

/// How far the shares of labels in `found` are from those in `expected`: the population stability index, the sum of
/// (p - q)·ln(p / q) (Siddiqi, Credit Risk Scorecards, 2006, who calls it stable below 0.1 and shifted above 0.25).
/// Half a text is added to each count, so that it is finite. ShapeError for other labels.
double population_stability_index(const DataProfile& expected, const DataProfile& found);

}  // namespace qing::nn
