// Transformer layers (Vaswani et al. 2017; pre-norm: Xiong et al. 2020), with the names of PyTorch's. Dense inputs are
// [batch, time, d_model], ragged ones [tokens, d_model] with offsets; results have the shape of the input (target).
// Constructors throw ValueError, naming the layer, unless d_model, nhead and dim_feedforward are positive, nhead
// divides d_model, 0 ≤ dropout < 1 and layer_norm_eps is finite and not negative. forward throws ShapeError for inputs
// that do not fit, DTypeError for dtypes other than the weights', ValueError for offsets that do not rise from 0 to the
// rows, and in training mode for a null `rng` when there is a dropout. It is const: in evaluation mode it may be called
// from many threads.
#pragma once

#include <cstdint>
#include <memory>

#include <qing/nn/layers/container.h>
#include <qing/nn/layers/encoder_block.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/multihead_attention.h>
#include <qing/nn/layers/norm.h>

namespace qing::nn {

struct TransformerOptions {
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  FeedForwardActivation activation = FeedForwardActivation::relu;
  double layer_norm_eps = 1e-5;  ///< eps of the norms of any kind
  bool norm_first = false;       ///< normalise the input of a sublayer instead of the sum with its output
  NormKind norm = NormKind::layer_norm;
};

/// Self-attention, then two linear layers, each with a residual, a dropout and a norm.
class TransformerEncoderLayer : public EncoderBlock<MultiheadAttention> {
 public:
  TransformerEncoderLayer(int64_t d_model, int64_t nhead, Generator& rng, TransformerOptions options = {});
  void visit(Visitor& visitor) override;
  using EncoderBlock::forward;  ///< A ragged batch.
  using EncoderBlock::operator();
  Tensor forward(const Tensor& x, const AttentionMasks& masks = {}, Generator* rng = nullptr) const;
  Tensor operator()(const Tensor& x, const AttentionMasks& masks = {}, Generator* rng = nullptr) const {
    return forward(x, masks, rng);
  }
  /// Causal attention, only for the new positions x; see MultiheadAttention.
  Tensor forward_cached(const Tensor& x, KeyValueCache& cache) const;
  const MultiheadAttention& self_attn() const { return attention_; }
};

/// Self-attention, attention to the encoder's memory, then two linear layers.
class TransformerDecoderLayer : public Module {
 public:
  TransformerDecoderLayer(int64_t d_model, int64_t nhead, Generator& rng, TransformerOptions options = {});
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& target, const Tensor& memory, const AttentionMasks& target_masks = {},
                 const AttentionMasks& memory_masks = {}, Generator* rng = nullptr) const;
  Tensor operator()(const Tensor& target, const Tensor& memory, const AttentionMasks& target_masks = {},
                    const AttentionMasks& memory_masks = {}, Generator* rng = nullptr) const {
    return forward(target, memory, target_masks, memory_masks, rng);
  }
  /// A ragged batch with causal attention: row i of a target sequence sees its rows up to i and all rows of the
  /// memory's
  /// sequence.
  Tensor forward(const Tensor& target, const Offsets& target_offsets, const Tensor& memory,
                 const Offsets& memory_offsets, Generator* rng = nullptr) const;
  Tensor operator()(const Tensor& target, const Offsets& target_offsets, const Tensor& memory,
                    const Offsets& memory_offsets, Generator* rng = nullptr) const {
    return forward(target, target_offsets, memory, memory_offsets, rng);
  }

 private:
  template <class AttendSelf, class AttendMemory>
  Tensor around(const Tensor& x, const AttendSelf& attend_self, const AttendMemory& attend_memory,
                Generator* rng) const;

  SublayerOptions options_;
  MultiheadAttention self_attn_, multihead_attn_;
  Linear linear1_, linear2_;
  std::unique_ptr<ResidualNorm> norm1_, norm2_, norm3_;
};

/// Layers of equal options, "layers.0", ..., and, if asked for, a norm behind the last. ValueError for num_layers < 0.
class TransformerEncoder : public Module {
 public:
  TransformerEncoder(int64_t d_model, int64_t nhead, int64_t num_layers, Generator& rng,
                     TransformerOptions options = {}, bool final_norm = false);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& x, const AttentionMasks& masks = {}, Generator* rng = nullptr) const;
  Tensor operator()(const Tensor& x, const AttentionMasks& masks = {}, Generator* rng = nullptr) const {
    return forward(x, masks, rng);
  }
  Tensor forward(const Tensor& x, const Offsets& offsets, bool causal = false, Generator* rng = nullptr) const;
  Tensor operator()(const Tensor& x, const Offsets& offsets, bool causal = false, Generator* rng = nullptr) const {
    return forward(x, offsets, causal, rng);
  }

 private:
  ModuleList<TransformerEncoderLayer> layers_;
  std::unique_ptr<ResidualNorm> norm_;  // null without
};

/// Decoder layers of equal options, named and checked as in TransformerEncoder.
class TransformerDecoder : public Module {
 public:
  TransformerDecoder(int64_t d_model, int64_t nhead, int64_t num_layers, Generator& rng,
                     TransformerOptions options = {}, bool final_norm = false);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& target, const Tensor& memory, const AttentionMasks& target_masks = {},
                 const AttentionMasks& memory_masks = {}, Generator* rng = nullptr) const;
  Tensor operator()(const Tensor& target, const Tensor& memory, const AttentionMasks& target_masks = {},
                    const AttentionMasks& memory_masks = {}, Generator* rng = nullptr) const {
    return forward(target, memory, target_masks, memory_masks, rng);
  }
  Tensor forward(const Tensor& target, const Offsets& target_offsets, const Tensor& memory,
                 const Offsets& memory_offsets, Generator* rng = nullptr) const;
  Tensor operator()(const Tensor& target, const Offsets& target_offsets, const Tensor& memory,
                    const Offsets& memory_offsets, Generator* rng = nullptr) const {
    return forward(target, target_offsets, memory, memory_offsets, rng);
  }

 private:
  ModuleList<TransformerDecoderLayer> layers_;
  std::unique_ptr<ResidualNorm> norm_;  // null without
};

}  // namespace qing::nn
