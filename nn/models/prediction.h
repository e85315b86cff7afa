// What a text classifier, or a model of sentence embeddings, says of a text.
#pragma once

#include <cstdint>
#include <vector>

namespace qing::nn {

struct Prediction {
  int32_t label;  ///< index into labels(): that of the greatest score
  /// One a label. Of single and ordered labels the probabilities, which sum to 1; of a multi-label classifier the
  /// probability of each label by itself; of a regression the number that the model gives.
  std::vector<float> scores;
  int32_t tokens;  ///< ids the text became, special ones included
  bool truncated;  ///< the encoder did not read the text to its end; an n-gram head does
  std::vector<float> logits =
      {};               ///< one a label; the scores are the softmax, or the sigmoid, of logits / temperature()
  int32_t unknown = 0;  ///< of the tokens, those the vocabulary does not know
  bool blank = false;   ///< the text gave no token but the special ones: the scores are those of no text at all
  /// Of a model of sentence embeddings, which has no labels and scores: the pooled vector, not normalized.
  std::vector<float> embedding = {};
  /// Of a multi-label classifier: the labels whose scores reach their thresholds, ascending; possibly none.
  std::vector<int32_t> labels = {};
  /// Of ordered labels the expected place, the mean of places_of(labels()) weighted by the scores; of a regression its
  /// number; otherwise 0.
  double value = 0;
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
