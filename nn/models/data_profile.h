// Statistics of a classifier's predictions, which show when texts differ from its reference texts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qing::nn {

struct Prediction;

/// Counts over predicted texts.
struct DataProfile {
  int64_t tokens = 0;           ///< including special tokens
  int64_t unknown_tokens = 0;   ///< words without pieces in the vocabulary
  std::vector<int64_t> labels;  ///< number of texts by predicted label

  int64_t texts() const;
  double unknown_share() const;            ///< share of unknown tokens; 0 without tokens
  double label_share(size_t label) const;  ///< share of the texts with this label; 0 without texts
  /// ShapeError for a label that is not an index into `labels`.
  void add(std::span<const Prediction> predictions);
  /// ShapeError for another number of labels.
  DataProfile& operator+=(const DataProfile& other);
};

/// The population stability index between the label shares of `found` and `expected`: the sum of (p - q)·ln(p / q)
/// (Siddiqi, Credit Risk Scorecards, 2006; stable below 0.1, shifted above 0.25). Half a text is added to each count,
/// so that the index is finite. ShapeError for different numbers of labels.
double population_stability_index(const DataProfile& expected, const DataProfile& found);

}  // namespace qing::nn
