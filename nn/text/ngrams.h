// n-grams of a text with TF-IDF weights, for a linear model beside a transformer: a transformer trained on little data
// overlooks them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/module.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

/// The norm of the values of the n-grams of pieces; that of words is 1.
inline constexpr double kPiecesNorm = 0.7;

/// A text as a sparse vector: ascending unique rows and their values. Empty when the table has none of its n-grams.
struct NgramFeatures {
  std::vector<int32_t> rows;
  std::vector<float> values;
};

/// One occurrence of an n-gram in a text.
struct NgramOccurrence {
  int32_t row;
  float value;          ///< its share of the row's value; the shares of all occurrences add up to the feature's value
  uint32_t begin, end;  ///< bytes of the original text
};

/// The known n-grams: one to three consecutive words, where a Chinese character is a word; and pieces of 2 to 4
/// characters of every other word between "<" and ">" (Bojanowski et al. 2017). The key of an n-gram is its kind and a
/// hash of 31 bits; an unknown n-gram collides with a known one about once in 2^31/size. The value of an n-gram that a
/// text has f times is (1 + log f)·idf (Salton & Buckley 1988), where idf = log((1 + texts)/(1 + texts with it)) + 1,
/// scaled so that those of words have the Euclidean norm 1 and those of pieces, which are many and say less, 0.7.
/// Immutable once built; all members are thread-safe.
class NgramTable {
 public:
  /// The table of the n-grams that occur in at least `min_texts` texts. DataError on invalid UTF-8, ValueError for
  /// min_texts < 1.
  static NgramTable build(std::span<const std::string> texts, const TokenizerOptions& options, int64_t min_texts);
  /// From state_dict(); DataError naming the tensor that is missing or does not fit.
  static NgramTable from(const StateDict& state, const TokenizerOptions& options);
  /// "keys" i32 [size], ascending as unsigned numbers, and "idf" f32 [size].
  StateDict state_dict() const;

  int64_t size() const { return static_cast<int64_t>(keys_.size()); }
  /// DataError on invalid UTF-8. Time is linear in the text's length, except for sorting its n-grams.
  NgramFeatures features(std::string_view text) const;
  /// The occurrences of the same n-grams, in the text's order.
  std::vector<NgramOccurrence> occurrences(std::string_view text) const;

 private:
  NgramTable(std::vector<uint32_t> keys, std::vector<float> idf, const TokenizerOptions& options);
  int32_t find(uint32_t key) const;
  std::vector<NgramOccurrence> known(std::string_view text) const;

  std::vector<uint32_t> keys_;
  std::vector<float> idf_;
  TokenizerOptions options_;
  std::vector<int32_t> slots_;  // open addressing: row or -1; a power of two, at least twice the rows
};

}  // namespace qing::nn
