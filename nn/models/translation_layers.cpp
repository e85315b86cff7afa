#include <qing/nn/models/translation_layers.h>

#include <cmath>
#include <vector>

#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/views.h>
#include <qing/nn/init.h>
#include <qing/nn/training_mode.h>

namespace qing::nn {
namespace {

LinearOptions linear_of(const TranslationConfig& c) { return {.bias = c.biases, .stddev = c.initializer_range}; }

AttentionLayerOptions attention_of(const TranslationConfig& c, int64_t heads, bool own) {
  AttentionLayerOptions options{.heads = heads, .dropout = c.attention_dropout};
  if (own && c.positions == PositionKind::rotary) options.rotary = RotaryOptions{.base = c.rotary_base};
  return options;
}

SublayerOptions sublayers_of(const TranslationConfig& c) {
  return {.dropout = c.dropout,
          .hidden_dropout = c.activation_dropout,
          .activation = c.activation,
          .norm_first = c.norm_first};
}

// Without an initializer_range the weights of a linear layer are Glorot's, and its biases 0.
void initialize_linear(const TranslationConfig& c, Linear& layer, Generator& rng) {
  if (c.initializer_range) return;
  Tensor weight = layer.weight();
  init::xavier_uniform(weight, rng);
  if (!layer.bias().defined()) return;
  Tensor bias = layer.bias();
  init::zeros(bias);
}

std::unique_ptr<ResidualNorm> norm_of(const TranslationConfig& c) { return make_norm(c.norm, c.width, c.norm_eps); }

}  // namespace

TranslationAttention::TranslationAttention(const TranslationConfig& c, int64_t heads, bool own, Generator& rng)
    : ProjectedAttention(kTranslationModel, c.width, attention_of(c, heads, own), rng, linear_of(c),
                         c.head_width_of(heads)),
      query_factor_(c.scale_scores ? 1 : std::sqrt(static_cast<double>(c.head_width_of(heads)))) {
  for (Linear* layer : {&query_, &key_, &value_, &output_}) initialize_linear(c, *layer, rng);
}

Tensor TranslationAttention::queries(const Tensor& x) const {
  const Tensor queries = ProjectedAttention::queries(x);
  return query_factor_ == 1 ? queries : scale(queries, query_factor_);
}

Tensor TranslationAttention::queries_keys_values(const Tensor& x) const {
  if (query_factor_ == 1) return ProjectedAttention::queries_keys_values(x);
  return cat(std::vector<Tensor>{queries(x), keys_values(x)}, -1);
}

Tensor TranslationAttention::at_positions(const Tensor& rows, const Tensor& positions) const {
  return reshape(rotated(reshape(rows, {rows.size(0), heads(), rows.size(1) / heads()}), positions), rows.shape());
}

TranslationFeedForward::TranslationFeedForward(const TranslationConfig& c, int64_t hidden, Generator& rng)
    : wide_(c.width, hidden, rng, linear_of(c)), narrow_(hidden, c.width, rng, linear_of(c)) {
  if (c.gated) gate_.emplace(c.width, hidden, rng, linear_of(c));
  initialize_linear(c, wide_, rng);
  initialize_linear(c, narrow_, rng);
  if (gate_) initialize_linear(c, *gate_, rng);
}

void TranslationFeedForward::visit(Visitor& visitor) {
  visitor.module("wide", wide_);
  if (gate_) visitor.module("gate", *gate_);
  visitor.module("narrow", narrow_);
}

TranslationEncoderLayer::TranslationEncoderLayer(const TranslationConfig& c, Generator& rng)
    : attention_(c, c.encoder_heads, true, rng),
      feed_forward_(c, c.encoder_hidden, rng),
      attention_norm_(norm_of(c)),
      feed_forward_norm_(norm_of(c)),
      sublayers_(sublayers_of(c)) {}

void TranslationEncoderLayer::visit(Visitor& visitor) {
  visitor.module("attention", attention_);
  visitor.module("attention_norm", *attention_norm_);
  visitor.module("feed_forward", feed_forward_);
  visitor.module("feed_forward_norm", *feed_forward_norm_);
}

Tensor TranslationEncoderLayer::forward(const Tensor& x, const Offsets& offsets, Generator* rng,
                                        const Tensor& relative_bias) const {
  if (sublayers_.dropout > 0 || sublayers_.hidden_dropout > 0) note_mode(*this, x);
  const Sublayers sublayers(*this, kTranslationModel, sublayers_, rng);
  const auto attend = [&](const Tensor& in) { return attention_.forward(in, offsets, false, rng, relative_bias); };
  return feed_forward_.add_to(sublayers.add(x, *attention_norm_, attend), sublayers, *feed_forward_norm_);
}

TranslationDecoderLayer::TranslationDecoderLayer(const TranslationConfig& c, Generator& rng)
    : attention_(c, c.decoder_heads, true, rng),
      memory_attention_(c, c.decoder_heads, false, rng),
      feed_forward_(c, c.decoder_hidden, rng),
      attention_norm_(norm_of(c)),
      memory_norm_(norm_of(c)),
      feed_forward_norm_(norm_of(c)),
      sublayers_(sublayers_of(c)) {}

void TranslationDecoderLayer::visit(Visitor& visitor) {
  visitor.module("attention", attention_);
  visitor.module("attention_norm", *attention_norm_);
  visitor.module("memory_attention", memory_attention_);
  visitor.module("memory_norm", *memory_norm_);
  visitor.module("feed_forward", feed_forward_);
  visitor.module("feed_forward_norm", *feed_forward_norm_);
}

Tensor TranslationDecoderLayer::forward(const Tensor& x, const Offsets& offsets, const Tensor& memory,
                                        const Offsets& memory_offsets, Generator* rng,
                                        const Tensor& relative_bias) const {
  if (sublayers_.dropout > 0 || sublayers_.hidden_dropout > 0) note_mode(*this, x);
  return around(
      x, [&](const Tensor& in) { return attention_.forward(in, offsets, true, rng, relative_bias); },
      [&](const Tensor& in) { return memory_attention_.forward(in, offsets, memory, memory_offsets, rng); }, rng);
}

}  // namespace qing::nn
