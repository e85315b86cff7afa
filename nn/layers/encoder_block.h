// The sublayers of a transformer block, and the encoder block made of them.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <utility>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/norm.h>
#include <qing/nn/layers/ragged_attention.h>
#include <qing/nn/layers/row_parts.h>
#include <qing/nn/training_mode.h>

namespace qing::nn {

/// gelu computes Φ by the error function, gelu_tanh by tanh.
enum class FeedForwardActivation { relu, gelu, gelu_tanh, silu };

/// activation(layer(x)); gelu is part of the product.
Tensor activated_linear(const Tensor& x, const Linear& layer, FeedForwardActivation activation);

enum class NormKind { layer_norm, rms_norm };
/// The norm of this kind over the last dimension. ValueError unless width ≥ 1.
std::unique_ptr<ResidualNorm> make_norm(NormKind kind, int64_t width, double eps);

struct SublayerOptions {
  double dropout = 0;         ///< dropout of the output of each sublayer
  double hidden_dropout = 0;  ///< dropout of the hidden values of the feed-forward
  FeedForwardActivation activation = FeedForwardActivation::relu;
  bool norm_first = false;  ///< normalise the input of a sublayer instead of the sum with its output
};

/// Residual, dropout and norm around the sublayers of a block, and the feed-forward, for one call of forward.
class Sublayers {
 public:
  /// Dropout is inactive unless the block is in training mode. ValueError with `name` when dropout is active and rng is
  /// null. Keeps a reference to the options.
  Sublayers(const Module& block, const char* name, const SublayerOptions& options, Generator* rng);

  /// x + sublayer(x). norm_first normalises the input of the sublayer. Otherwise the sum is normalised, and norm,
  /// dropout and sum are one operation.
  template <class Sublayer> Tensor add(const Tensor& x, const ResidualNorm& norm, const Sublayer& sublayer) const {
    if (options_.norm_first) return x + drop(sublayer(norm.forward(x)), options_.dropout);
    return norm.forward_residual(sublayer(x), x, options_.dropout, rng_);
  }
  /// add() of narrow(dropout(activation(wide(x)))); gelu is part of the product. With `gate` activation(wide(x)) is
  /// activation(gate(x))·wide(x) (Shazeer 2020).
  Tensor add_feed_forward(const Tensor& x, const ResidualNorm& norm, const Linear& wide, const Linear& narrow,
                          const Linear* gate = nullptr) const;

 private:
  Tensor drop(const Tensor& x, double p) const;

  const SublayerOptions& options_;
  Generator* rng_;  // null: no dropout
};

struct EncoderBlockOptions {
  const char* name = "EncoderBlock";  ///< in errors
  int64_t width = 0;                  ///< of the rows
  int64_t hidden = 0;                 ///< width of the feed-forward
  SublayerOptions sublayers = {};
  NormKind norm = NormKind::layer_norm;
  double norm_eps = 1e-5;
  LinearOptions linear = {};  ///< of the feed-forward
};

/// Self-attention, then two linear layers; each with a residual, a dropout and a norm. A derived class names the parts
/// in visit(). How attention knows positions and shares heads is for the attention's AttentionLayerOptions. In training
/// mode `rng` feeds the dropouts (ValueError if null then and a dropout is not 0). ShapeError for inputs that do not
/// fit, DTypeError for dtypes other than the weights', ValueError for offsets that do not rise from 0 to the rows.
/// forward is const: in evaluation mode it may be called from many threads.
template <std::derived_from<RaggedAttention> Attention> class EncoderBlock : public Module {
 public:
  /// A ragged batch: x [tokens, width] → [tokens, width]. relative_bias: see RaggedAttention::forward.
  Tensor forward(const Tensor& x, const Offsets& offsets, bool causal = false, Generator* rng = nullptr,
                 const Tensor& relative_bias = {}) const {
    return around_mixed(
        x, [&](const Tensor& in) { return attention_.mixed(in, offsets, causal, rng, relative_bias); }, rng);
  }
  Tensor operator()(const Tensor& x, const Offsets& offsets, bool causal = false, Generator* rng = nullptr,
                    const Tensor& relative_bias = {}) const {
    return forward(x, offsets, causal, rng, relative_bias);
  }
  /// The results of the rows `wanted` of x alone, sequence by sequence as wanted_offsets say: everything but the keys
  /// and values is computed for them only. Without a causal mask. first_wanted and relative_bias: see first_queries in
  /// RaggedAttention::forward.
  Tensor forward_rows(const Tensor& wanted, const Offsets& wanted_offsets, const Tensor& x, const Offsets& offsets,
                      Generator* rng = nullptr, const Offsets& first_wanted = {},
                      const Tensor& relative_bias = {}) const {
    const Tensor seen = sublayers_.norm_first ? attention_norm_->forward(x) : x;
    return around_mixed(
        wanted,
        [&](const Tensor& in) {
          return attention_.mixed(in, wanted_offsets, seen, offsets, rng, first_wanted, relative_bias);
        },
        rng);
  }

 protected:
  /// `attention` is constructed before, so its weights are drawn first.
  EncoderBlock(Attention attention, const EncoderBlockOptions& options, Generator& rng)
      : attention_(std::move(attention)),
        wide_(options.width, options.hidden, rng, options.linear),
        narrow_(options.hidden, options.width, rng, options.linear),
        attention_norm_(make_norm(options.norm, options.width, options.norm_eps)),
        feed_forward_norm_(make_norm(options.norm, options.width, options.norm_eps)),
        name_(options.name),
        sublayers_(options.sublayers) {}

  /// The block with attend(rows) as its attention.
  template <class Attend> Tensor around(const Tensor& x, const Attend& attend, Generator* rng) const {
    if (sublayers_.dropout > 0 || sublayers_.hidden_dropout > 0) note_mode(*this, x);
    const Sublayers sublayers(*this, name_, sublayers_, rng);
    return sublayers.add_feed_forward(sublayers.add(x, *attention_norm_, attend), *feed_forward_norm_, wide_, narrow_);
  }

  Attention attention_;
  Linear wide_, narrow_;
  std::unique_ptr<ResidualNorm> attention_norm_, feed_forward_norm_;

 private:
  /// around() with mix(rows) as the attention before its last product. All after it treats each row by itself.
  template <class Mix> Tensor around_mixed(const Tensor& x, const Mix& mix, Generator* rng) const {
    const int64_t weights = attention_.output().packed_bytes() + wide_.packed_bytes() + narrow_.packed_bytes();
    const bool drops = training() && (sublayers_.dropout > 0 || sublayers_.hidden_dropout > 0);
    if (sublayers_.norm_first || drops || !shares_rows(x, weights)) {
      return around(
          x, [&](const Tensor& in) { return attention_.output().forward(mix(in)); }, rng);
    }
    return in_row_parts(x, mix(x), [&](const Tensor& rows, const Tensor& mixed) {
      return around(
          rows, [&](const Tensor&) { return attention_.output().forward(mixed); }, nullptr);
    });
  }

  const char* name_;
  SublayerOptions sublayers_;
};

}  // namespace qing::nn
