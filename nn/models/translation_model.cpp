#include <qing/nn/models/translation_model.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/gradient_checkpoint.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/linear_cross_entropy.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/models/batch_parts.h>
#include <qing/nn/models/translation_parts.h>
#include <qing/tensor/errors.h>

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

void check_lengths(const RaggedBatch& batch, const char* what, int64_t most) {
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int64_t tokens = batch.offsets[s + 1] - batch.offsets[s];
    if (tokens <= most) continue;
    throw ValueError(
        fmt::format("{}: {} {} has {} tokens; the model takes {}", kTranslationModel, what, s, tokens, most));
  }
}

int64_t longest(const Offsets& offsets) {
  int64_t length = 1;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) length = std::max(length, offsets[s + 1] - offsets[s]);
  return length;
}

// run(inputs and, if defined, bias), which backward computes again when the model checkpoints its layers.
template <class Run>
Tensor run_layer(bool checkpointing, const Run& run, std::vector<Tensor> inputs, const Tensor& bias, Generator* rng) {
  if (bias.defined()) inputs.push_back(bias);
  return checkpointing && grad_enabled() ? checkpoint(run, inputs, rng) : run(inputs);
}

const TranslationConfig& validated(const TranslationConfig& config) {
  config.validate();
  return config;
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

TranslationModel::Parts::Parts(const TranslationConfig& c, Generator& rng)
    : encoder(c, c.encoder_layers, c.encoder_heads, true, rng),
      decoder(c, c.decoder_layers, c.decoder_heads, false, rng),
      output(output_of(c, rng)),
      embedding_factor_(c.scale_embeddings ? std::sqrt(static_cast<double>(c.width)) : 1),
      output_factor_(c.scale_output ? 1 / std::sqrt(static_cast<double>(c.width)) : 1) {
  if (!c.tie_output) table_.emplace(c.vocab_size, c.width, rng, EmbeddingOptions{.stddev = table_stddev(c)});
}

Tensor TranslationModel::Parts::embeddings(const Tensor& ids) const {
  const Tensor rows = embedding(table(), ids);
  return embedding_factor_ == 1 ? rows : scale(rows, embedding_factor_);
}

Tensor TranslationModel::Parts::scaled(const Tensor& hidden) const {
  return output_factor_ == 1 ? hidden : scale(hidden, output_factor_);
}

void TranslationModel::Parts::visit(Visitor& visitor) {
  if (table_) visitor.module("embeddings", *table_);
  visitor.module("encoder", encoder);
  visitor.module("decoder", decoder);
  visitor.module("output", output);
}

TranslationBatch TranslationBatch::of(std::span<const std::span<const int32_t>> sources,
                                      std::span<const std::span<const int32_t>> targets, int32_t start_id) {
  if (sources.size() != targets.size()) {
    throw ValueError(fmt::format("TranslationBatch: {} sources and {} targets", sources.size(), targets.size()));
  }
  std::vector<std::vector<int32_t>> shifted;
  std::vector<int32_t> labels;
  for (size_t s = 0; s < targets.size(); ++s) {
    if (targets[s].empty()) throw ValueError(fmt::format("TranslationBatch: target {} has no token", s));
    std::vector<int32_t>& given = shifted.emplace_back();
    given.push_back(start_id);
    given.insert(given.end(), targets[s].begin(), targets[s].end() - 1);
    labels.insert(labels.end(), targets[s].begin(), targets[s].end());
  }
  const std::vector<std::span<const int32_t>> views(shifted.begin(), shifted.end());
  return {.source = RaggedBatch::of(sources),
          .target = RaggedBatch::of(views),
          .labels = Tensor::from<int32_t>(labels, {std::ssize(labels)})};
}

TranslationModel::TranslationModel(const TranslationConfig& config, Generator& rng)
    : config_(validated(config)), parts_(std::make_unique<Parts>(config, rng)) {}

TranslationModel::~TranslationModel() = default;
TranslationModel::TranslationModel(TranslationModel&&) noexcept = default;
TranslationModel& TranslationModel::operator=(TranslationModel&&) noexcept = default;

void TranslationModel::visit(Visitor& visitor) { parts_->visit(visitor); }

Tensor TranslationModel::encode(const RaggedBatch& source, Generator* rng) const {
  check_lengths(source, "source", config_.max_tokens);
  const auto run = [&](const RaggedBatch& part) {
    const auto& stack = parts_->encoder;
    Tensor x = stack.embedded(parts_->embeddings(part.ids), part.positions, rng);
    const Tensor bias = stack.relative_bias(longest(part.offsets));
    for (size_t i = 0; i < stack.layers().size(); ++i) {
      const auto layer = [&layer = stack.layers()[i], offsets = part.offsets, rng](const std::vector<Tensor>& in) {
        return layer.forward(in[0], offsets, rng, in.size() > 1 ? in[1] : Tensor());
      };
      x = run_layer(parts_->checkpointing, layer, {x}, bias, rng);
    }
    return stack.normed(x);
  };
  // A generator belongs to one thread, so a batch whose dropouts may draw from it is not computed in parts.
  return rng != nullptr ? run(source) : in_parts(source, run);
}

Tensor TranslationModel::decode(const RaggedBatch& target, const Tensor& memory, const Offsets& memory_offsets,
                                Generator* rng) const {
  check_lengths(target, "target", config_.max_tokens);
  if (target.offsets.size() != memory_offsets.size()) {
    throw ValueError(fmt::format("{}: {} targets for {} sources", kTranslationModel, target.sequences(),
                                 std::ssize(memory_offsets) - 1));
  }
  const auto& stack = parts_->decoder;
  Tensor x = stack.embedded(parts_->embeddings(target.ids), target.positions, rng);
  const Tensor bias = stack.relative_bias(longest(target.offsets));
  for (size_t i = 0; i < stack.layers().size(); ++i) {
    const auto layer = [&layer = stack.layers()[i], offsets = target.offsets, memory_offsets,
                        rng](const std::vector<Tensor>& in) {
      return layer.forward(in[0], offsets, in[1], memory_offsets, rng, in.size() > 2 ? in[2] : Tensor());
    };
    x = run_layer(parts_->checkpointing, layer, {x, memory}, bias, rng);
  }
  return stack.normed(x);
}

Tensor TranslationModel::logits(const Tensor& hidden) const { return parts_->output.forward(parts_->scaled(hidden)); }

Tensor TranslationModel::forward(const RaggedBatch& source, const RaggedBatch& target, Generator* rng) const {
  return logits(decode(target, encode(source, rng), source.offsets, rng));
}

Tensor TranslationModel::loss(const TranslationBatch& batch, double label_smoothing, Generator* rng) const {
  const Tensor hidden = decode(batch.target, encode(batch.source, rng), batch.source.offsets, rng);
  return linear_cross_entropy(parts_->scaled(hidden), parts_->output.weight(), parts_->output.bias(), batch.labels,
                              {.label_smoothing = label_smoothing});
}

void TranslationModel::checkpoint_layers(bool on) { parts_->checkpointing = on; }

}  // namespace qing::nn
