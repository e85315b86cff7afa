// The configuration of an encoder of BERT's kind, in Hugging Face's config.json.
#pragma once

#include <cstdint>

namespace qing::nn {

/// Names and meanings are those of `transformers`' BertConfig.
struct EncoderConfig {
  int64_t vocab_size = 16000;
  int64_t hidden_size = 128;
  int64_t num_hidden_layers = 2;
  int64_t num_attention_heads = 4;
  int64_t intermediate_size = 512;
  int64_t max_position_embeddings = 128;
  int64_t type_vocab_size = 2;
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;
  int64_t pad_token_id = 0;

  /// ValueError naming the field, unless sizes are positive, the heads divide the width, probabilities are in [0, 1),
  /// layer_norm_eps is in (0, 1) and initializer_range is finite and not negative.
  void validate() const;
};

}  // namespace qing::nn
