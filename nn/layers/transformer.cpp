#include <qing/nn/layers/transformer.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/autograd/ops.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {
namespace {

SublayerOptions sublayers_of(const TransformerOptions& options) {
  return {.dropout = options.dropout,
          .hidden_dropout = options.dropout,
          .activation = options.activation,
          .norm_first = options.norm_first};
}

EncoderBlockOptions block_of(int64_t d_model, const TransformerOptions& options) {
  return {.name = "TransformerEncoderLayer",
          .width = d_model,
          .hidden = options.dim_feedforward,
          .sublayers = sublayers_of(options),
          .norm = options.norm,
          .norm_eps = options.layer_norm_eps};
}

// The options themselves. The parts would report what is wrong under their own names.
const TransformerOptions& checked(const char* name, int64_t d_model, int64_t nhead, const TransformerOptions& options) {
  check_at_least(name, "d_model", d_model, 1);
  check_at_least(name, "nhead", nhead, 1);
  if (d_model % nhead != 0) {
    throw ValueError(fmt::format("{}: d_model {} is not a multiple of nhead {}", name, d_model, nhead));
  }
  check_at_least(name, "dim_feedforward", options.dim_feedforward, 1);
  check_probability(name, options.dropout);
  if (!(options.layer_norm_eps >= 0 && std::isfinite(options.layer_norm_eps))) {
    throw ValueError(
        fmt::format("{}: layer_norm_eps is {}; it must be finite, at least 0", name, options.layer_norm_eps));
  }
  return options;
}

MultiheadAttentionOptions attention_of(const TransformerOptions& options) { return {.dropout = options.dropout}; }

}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(int64_t d_model, int64_t nhead, Generator& rng,
                                                 TransformerOptions options)
    : EncoderBlock(MultiheadAttention(d_model, nhead, rng,
                                      attention_of(checked("TransformerEncoderLayer", d_model, nhead, options))),
                   block_of(d_model, options), rng) {}

void TransformerEncoderLayer::visit(Visitor& visitor) {
  visitor.module("self_attn", attention_);
  visitor.module("linear1", wide_);
  visitor.module("linear2", narrow_);
  visitor.module("norm1", *attention_norm_);
  visitor.module("norm2", *feed_forward_norm_);
}

Tensor TransformerEncoderLayer::forward(const Tensor& x, const AttentionMasks& masks, Generator* rng) const {
  return around(
      x, [&](const Tensor& in) { return attention_.forward(in, in, in, masks, rng); }, rng);
}

Tensor TransformerEncoderLayer::forward_cached(const Tensor& x, KeyValueCache& cache) const {
  return around(
      x, [&](const Tensor& in) { return attention_.forward_cached(in, cache); }, nullptr);
}

TransformerDecoderLayer::TransformerDecoderLayer(int64_t d_model, int64_t nhead, Generator& rng,
                                                 TransformerOptions options)
    : options_(sublayers_of(checked("TransformerDecoderLayer", d_model, nhead, options))),
      self_attn_(d_model, nhead, rng, {.dropout = options.dropout}),
      multihead_attn_(d_model, nhead, rng, {.dropout = options.dropout}),
      linear1_(d_model, options.dim_feedforward, rng),
      linear2_(options.dim_feedforward, d_model, rng),
      norm1_(make_norm(options.norm, d_model, options.layer_norm_eps)),
      norm2_(make_norm(options.norm, d_model, options.layer_norm_eps)),
      norm3_(make_norm(options.norm, d_model, options.layer_norm_eps)) {}

void TransformerDecoderLayer::visit(Visitor& visitor) {
  visitor.module("self_attn", self_attn_);
  visitor.module("multihead_attn", multihead_attn_);
  visitor.module("linear1", linear1_);
  visitor.module("linear2", linear2_);
  visitor.module("norm1", *norm1_);
  visitor.module("norm2", *norm2_);
  visitor.module("norm3", *norm3_);
}

template <class AttendSelf, class AttendMemory>
Tensor TransformerDecoderLayer::around(const Tensor& x, const AttendSelf& attend_self,
                                       const AttendMemory& attend_memory, Generator* rng) const {
  const Sublayers sublayers(*this, "TransformerDecoderLayer", options_, rng);
  const Tensor own = sublayers.add(x, *norm1_, attend_self), h = sublayers.add(own, *norm2_, attend_memory);
  return sublayers.add_feed_forward(h, *norm3_, linear1_, linear2_);
}

Tensor TransformerDecoderLayer::forward(const Tensor& target, const Tensor& memory, const AttentionMasks& target_masks,
                                        const AttentionMasks& memory_masks, Generator* rng) const {
  return around(
      target, [&](const Tensor& in) { return self_attn_.forward(in, in, in, target_masks, rng); },
      [&](const Tensor& in) { return multihead_attn_.forward(in, memory, memory, memory_masks, rng); }, rng);
}

Tensor TransformerDecoderLayer::forward(const Tensor& target, const Offsets& target_offsets, const Tensor& memory,
                                        const Offsets& memory_offsets, Generator* rng) const {
  return around(
      target, [&](const Tensor& in) { return self_attn_.forward(in, target_offsets, true, rng); },
      [&](const Tensor& in) { return multihead_attn_.forward(in, target_offsets, memory, memory_offsets, rng); }, rng);
}

TransformerEncoder::TransformerEncoder(int64_t d_model, int64_t nhead, int64_t num_layers, Generator& rng,
                                       TransformerOptions options, bool final_norm) {
  check_at_least("TransformerEncoder", "num_layers", num_layers, 0);
  checked("TransformerEncoder", d_model, nhead, options);
  for (int64_t i = 0; i < num_layers; ++i) layers_.emplace_back(d_model, nhead, rng, options);
  if (final_norm) norm_ = make_norm(options.norm, d_model, options.layer_norm_eps);
}

void TransformerEncoder::visit(Visitor& visitor) {
  visitor.module("layers", layers_);
  if (norm_) visitor.module("norm", *norm_);
}

Tensor TransformerEncoder::forward(const Tensor& x, const AttentionMasks& masks, Generator* rng) const {
  Tensor y = x;
  for (size_t i = 0; i < layers_.size(); ++i) y = layers_[i].forward(y, masks, rng);
  return norm_ ? norm_->forward(y) : y;
}

Tensor TransformerEncoder::forward(const Tensor& x, const Offsets& offsets, bool causal, Generator* rng) const {
  Tensor y = x;
  for (size_t i = 0; i < layers_.size(); ++i) y = layers_[i].forward(y, offsets, causal, rng);
  return norm_ ? norm_->forward(y) : y;
}

TransformerDecoder::TransformerDecoder(int64_t d_model, int64_t nhead, int64_t num_layers, Generator& rng,
                                       TransformerOptions options, bool final_norm) {
  check_at_least("TransformerDecoder", "num_layers", num_layers, 0);
  checked("TransformerDecoder", d_model, nhead, options);
  for (int64_t i = 0; i < num_layers; ++i) layers_.emplace_back(d_model, nhead, rng, options);
  if (final_norm) norm_ = make_norm(options.norm, d_model, options.layer_norm_eps);
}

void TransformerDecoder::visit(Visitor& visitor) {
  visitor.module("layers", layers_);
  if (norm_) visitor.module("norm", *norm_);
}

Tensor TransformerDecoder::forward(const Tensor& target, const Tensor& memory, const AttentionMasks& target_masks,
                                   const AttentionMasks& memory_masks, Generator* rng) const {
  Tensor y = target;
  for (size_t i = 0; i < layers_.size(); ++i) y = layers_[i].forward(y, memory, target_masks, memory_masks, rng);
  return norm_ ? norm_->forward(y) : y;
}

Tensor TransformerDecoder::forward(const Tensor& target, const Offsets& target_offsets, const Tensor& memory,
                                   const Offsets& memory_offsets, Generator* rng) const {
  Tensor y = target;
  for (size_t i = 0; i < layers_.size(); ++i) y = layers_[i].forward(y, target_offsets, memory, memory_offsets, rng);
  return norm_ ? norm_->forward(y) : y;
}

}  // namespace qing::nn
