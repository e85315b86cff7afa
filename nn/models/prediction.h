// The prediction and the explanation of a text classifier.
#pragma once

#include <cstdint>
#include <vector>

namespace qing::nn {

struct Prediction {
  int32_t label;                   ///< index into labels()
  std::vector<float> scores;       ///< probability of every label, summing to 1
  int32_t tokens;                  ///< number of token ids, including special ones
  bool truncated;                  ///< the encoder did not read the whole text; an n-gram head does
  std::vector<float> logits = {};  ///< one per label; the scores are the softmax of logits / temperature()
  int32_t unknown = 0;             ///< number of unknown tokens
  bool blank = false;              ///< the text has only special tokens, so the scores are those of an empty text
};

/// The explanation of a label: a weight for every piece of the text.
struct Explanation {
  struct Span {
    uint32_t begin, end;  ///< bytes of the text, on character boundaries; ascending, without overlap
    double weight;        ///< a weight above 0 supports the label
  };
  int32_t label;            ///< the explained label
  double score, baseline;   ///< probability of the label with and without the words of the text
  std::vector<Span> spans;  ///< weights sum to score - baseline, up to `gap`
  double gap;               ///< error of the numerical integration
  /// Number of bytes from the start of the text that the encoder read: all, unless the text was truncated. The weights
  /// of later spans come from their n-grams alone.
  uint32_t encoder_end = 0;
  /// Number of bytes from the start of the text that the n-gram head used: all, or 0 for a model without such a head.
  uint32_t ngram_end = 0;
};

}  // namespace qing::nn
