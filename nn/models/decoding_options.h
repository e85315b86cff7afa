// How translations are searched for, and what is found.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing::nn {

/// When a beam search ends, as `early_stopping` of `transformers` says.
enum class EarlyStopping {
  no,     ///< when no live hypothesis is likely to beat the worst finished one, judged at its present length
  yes,    ///< when beam_size hypotheses have finished
  never,  ///< when no live hypothesis can beat the worst finished one at any length
};

/// Names and meanings are those of `transformers`' GenerationConfig where it has them.
struct DecodingOptions {
  int64_t beam_size = 1;      ///< num_beams; 1: the likeliest token each time, or a drawn one
  int64_t max_tokens = 256;   ///< of a translation, with its end token
  int64_t min_tokens = 0;     ///< before the end token may follow
  double length_penalty = 1;  ///< a finished hypothesis counts Σ log p / tokens^length_penalty
  EarlyStopping early_stopping = EarlyStopping::no;
  int64_t best = 1;  ///< num_return_sequences: how many translations of a beam are returned, best first

  double repetition_penalty = 1;  ///< logits of tokens that a hypothesis has are divided by it, or multiplied below 0
  int64_t no_repeat_ngram_size = 0;      ///< no n-gram of this size occurs twice in a hypothesis; 0: any may
  std::vector<int32_t> suppressed = {};  ///< tokens that never occur
  std::optional<int32_t> forced_bos = std::nullopt;  ///< the token behind the start token
  std::optional<int32_t> forced_eos = std::nullopt;  ///< the token at max_tokens
  bool renormalize = false;  ///< log p is normalised again without the tokens that these rules exclude

  double temperature = 0;  ///< above 0 tokens are drawn, as TokenSampler draws them; needs beam_size 1
  int64_t top_k = 0;
  double top_p = 1;
  uint64_t seed = 0;  ///< of the drawn tokens

  bool alignment = false;  ///< return attention's weights

  /// ValueError naming the option and its range.
  void validate() const;
};

struct DecodedSequence {
  std::vector<int32_t> tokens;  ///< without the start token; the end token, if there is one, is the last
  double score = 0;             ///< Σ log p / tokens^length_penalty
  /// f32 [tokens, source tokens]: how much each token looked at each of the source's, the mean over the heads of the
  /// last layer's attention to the source; rows sum to 1. Undefined unless asked for.
  Tensor alignment;
  bool ended = false;  ///< by an end token, not by max_tokens
};

}  // namespace qing::nn
