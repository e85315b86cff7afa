// The architecture of an encoder-decoder for translation.
#pragma once

#include <cstdint>
#include <optional>

#include <qing/nn/layers/encoder_block.h>

namespace qing::nn {

/// How tokens know their positions. The sinusoidal kinds add fixed rows to the embeddings.
enum class PositionKind {
  learned,           ///< a trained table, as in BART
  sinusoidal,        ///< sines and cosines in turn (Vaswani et al. 2017)
  sinusoidal_split,  ///< the same numbers, all sines before all cosines, as in Marian
  /// all sines before all cosines, with frequencies from 1 to exactly 1/10000, computed in f32, as in M2M-100
  sinusoidal_tensor2tensor,
  rotary,    ///< queries and keys of self-attention are rotated (Su et al. 2021)
  relative,  ///< a bias of self-attention's scores, shared by the layers of a stack, as in T5 (Raffel et al. 2020)
};

/// What TranslationModel computes. The defaults are qing's own: norms before the sublayers, rotary positions, one
/// vocabulary and one table for source, target and output.
struct TranslationConfig {
  int64_t vocab_size = 16000;  ///< of source and target
  int64_t width = 256;         ///< of hidden states
  int64_t encoder_layers = 4;
  int64_t decoder_layers = 4;
  int64_t encoder_heads = 4;
  int64_t decoder_heads = 4;
  int64_t head_width = 0;         ///< of queries, keys and values; 0: width / heads
  int64_t encoder_hidden = 1024;  ///< width of the encoder's feed-forward
  int64_t decoder_hidden = 1024;
  int64_t max_tokens = 512;  ///< of a source, and of a target with its start token

  PositionKind positions = PositionKind::rotary;
  int64_t position_offset = 0;  ///< the number of the first token's row in a table of positions, learned or sinusoidal
  double rotary_base = 10000;
  int64_t relative_buckets = 32;
  double relative_max_distance = 128;

  bool norm_first = true;       ///< normalise the input of a sublayer instead of the sum with its output
  bool final_norm = true;       ///< a norm behind each stack
  bool embedding_norm = false;  ///< a norm of the embeddings, as in BART
  NormKind norm = NormKind::layer_norm;
  double norm_eps = 1e-5;

  FeedForwardActivation activation = FeedForwardActivation::relu;
  bool gated = false;            ///< activation(gate(x))·wide(x) in the feed-forward (Shazeer 2020)
  bool biases = true;            ///< of the linear layers
  bool scale_scores = true;      ///< scores of attention are divided by √head_width
  bool scale_embeddings = true;  ///< embeddings are multiplied by √width
  bool tie_output = true;        ///< the output layer multiplies by the table of embeddings
  bool scale_output = false;     ///< hidden states are divided by √width before the output layer, as in T5
  bool output_bias = false;      ///< a number for each entry of the vocabulary is added to the logits

  double dropout = 0.1;           ///< of embeddings and of the sublayers' outputs
  double attention_dropout = 0;   ///< of attention's weights
  double activation_dropout = 0;  ///< of the hidden values of the feed-forward
  /// Weights are normal(0, this). Without it tables are normal(0, 1/√width), which √width scales to 1, and matrices
  /// have Glorot's uniform distribution, as Vaswani et al. 2017 trained.
  std::optional<double> initializer_range = std::nullopt;

  int32_t pad_id = 0;
  int32_t eos_id = 3;    ///< ends sources and targets
  int32_t start_id = 2;  ///< stands before a target

  /// ValueError naming the field, unless sizes are positive, heads divide the width (or head_width is given and even
  /// for rotary positions), probabilities are in [0, 1), numbers are finite and ids lie in the vocabulary.
  void validate() const;
  int64_t head_width_of(int64_t heads) const { return head_width == 0 ? width / heads : head_width; }
};

}  // namespace qing::nn
