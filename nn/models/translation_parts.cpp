#include <qing/nn/models/translation_parts.h>

#include <cmath>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {
namespace {

// Columns of `interleaved`, which has sines and cosines in turn: first the sines, then the cosines.
Tensor split_columns(const Tensor& interleaved) {
  const int64_t width = interleaved.size(1), sines = (width + 1) / 2;
  Tensor table = Tensor::empty(interleaved.shape());
  for (int64_t r = 0; r < table.size(0); ++r) {
    const float* const in = interleaved.data<float>() + r * width;
    float* const out = table.data<float>() + r * width;
    for (int64_t c = 0; c < width; ++c) out[c % 2 == 0 ? c / 2 : sines + c / 2] = in[c];
  }
  return table;
}

// transformers' M2M100SinusoidalPositionalEmbedding, which computes in f32.
Tensor tensor2tensor_positions(int64_t count, int64_t width) {
  const int64_t half = width / 2;
  const auto step = static_cast<float>(std::log(10000.0) / static_cast<double>(half - 1));
  Tensor table = Tensor::zeros({count, width});
  for (int64_t t = 0; t < count; ++t) {
    float* const out = table.data<float>() + t * width;
    for (int64_t c = 0; c < half; ++c) {
      const float angle = static_cast<float>(t) * std::exp(static_cast<float>(c) * -step);
      out[c] = std::sin(angle);
      out[half + c] = std::cos(angle);
    }
  }
  return table;
}

Tensor fixed_positions(const TranslationConfig& c) {
  const int64_t count = c.max_tokens + c.position_offset;
  switch (c.positions) {
    case PositionKind::sinusoidal: return sinusoidal_positions(count, c.width);
    case PositionKind::sinusoidal_split: return split_columns(sinusoidal_positions(count, c.width));
    case PositionKind::sinusoidal_tensor2tensor: return tensor2tensor_positions(count, c.width);
    default: return {};
  }
}

double table_stddev(const TranslationConfig& c) {
  return c.initializer_range.value_or(1 / std::sqrt(static_cast<double>(c.width)));
}

// A tied output layer is a table of embeddings, and drawn as one.
Linear output_of(const TranslationConfig& c, Generator& rng) {
  return Linear(c.width, c.vocab_size, rng, {.bias = c.output_bias, .stddev = table_stddev(c)});
}

}  // namespace

template <class Layer>
TranslationStack<Layer>::TranslationStack(const TranslationConfig& c, int64_t layers, int64_t heads,
                                          bool both_directions, Generator& rng)
    : offset_(c.position_offset), dropout_(c.dropout), fixed_(fixed_positions(c)) {
  if (c.positions == PositionKind::learned) {
    learned_.emplace(c.max_tokens + c.position_offset, c.width, rng, EmbeddingOptions{.stddev = table_stddev(c)});
  }
  if (c.positions == PositionKind::relative) {
    relative_.emplace(heads, rng,
                      RelativePositionOptions{.buckets = c.relative_buckets,
                                              .max_distance = c.relative_max_distance,
                                              .stddev = table_stddev(c),
                                              .both_directions = both_directions});
  }
  if (c.embedding_norm) embedding_norm_ = make_norm(c.norm, c.width, c.norm_eps);
  if (c.final_norm) norm_ = make_norm(c.norm, c.width, c.norm_eps);
  for (int64_t i = 0; i < layers; ++i) layers_.emplace_back(c, rng);
}

template <class Layer> void TranslationStack<Layer>::visit(Visitor& visitor) {
  if (learned_) visitor.module("positions", *learned_);
  visitor.buffer("fixed_positions", fixed_, false);
  if (relative_) visitor.module("relative_bias", *relative_);
  if (embedding_norm_) visitor.module("embedding_norm", *embedding_norm_);
  visitor.module("layers", layers_);
  if (norm_) visitor.module("norm", *norm_);
}

template <class Layer> Tensor TranslationStack<Layer>::added_positions(const Tensor& x, const Tensor& positions) const {
  if (!learned_ && !fixed_.defined()) return x;
  const Tensor rows = offset_ == 0 ? positions : positions + offset_;
  return x + (learned_ ? learned_->forward(rows) : embedding(fixed_, rows));
}

template <class Layer>
Tensor TranslationStack<Layer>::embedded(const Tensor& embeddings, const Tensor& positions, Generator* rng) const {
  Tensor x = added_positions(embeddings, positions);
  if (embedding_norm_) x = embedding_norm_->forward(x);
  if (!training() || dropout_ == 0) return x;
  check_generator(kTranslationModel, rng);
  return dropout(x, dropout_, *rng);
}

template class TranslationStack<TranslationEncoderLayer>;
template class TranslationStack<TranslationDecoderLayer>;

TranslationParts::TranslationParts(const TranslationConfig& c, Generator& rng)
    : encoder(c, c.encoder_layers, c.encoder_heads, true, rng),
      decoder(c, c.decoder_layers, c.decoder_heads, false, rng),
      output(output_of(c, rng)),
      embedding_factor_(c.scale_embeddings ? std::sqrt(static_cast<double>(c.width)) : 1),
      output_factor_(c.scale_output ? 1 / std::sqrt(static_cast<double>(c.width)) : 1) {
  if (!c.tie_output) table_.emplace(c.vocab_size, c.width, rng, EmbeddingOptions{.stddev = table_stddev(c)});
}

Tensor TranslationParts::embeddings(const Tensor& ids) const {
  const Tensor rows = embedding(table(), ids);
  return embedding_factor_ == 1 ? rows : scale(rows, embedding_factor_);
}

Tensor TranslationParts::scaled(const Tensor& hidden) const {
  return output_factor_ == 1 ? hidden : scale(hidden, output_factor_);
}

void TranslationParts::visit(Module::Visitor& visitor) {
  if (table_) visitor.module("embeddings", *table_);
  visitor.module("encoder", encoder);
  visitor.module("decoder", decoder);
  visitor.module("output", output);
}

}  // namespace qing::nn
