#include <qing/nn/models/translation_model.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/linear_cross_entropy.h>
#include <qing/nn/models/batch_parts.h>
#include <qing/nn/models/checkpointed_layer.h>
#include <qing/nn/models/translation_parts.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

void check_lengths(const RaggedBatch& batch, const char* what, int64_t most) {
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int64_t tokens = batch.offsets[s + 1] - batch.offsets[s];
    if (tokens <= most) continue;
    throw ValueError(
        fmt::format("{}: {} {} has {} tokens; the model takes {}", kTranslationModel, what, s, tokens, most));
  }
}

int64_t longest_sequence(const Offsets& offsets) {
  int64_t length = 1;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) length = std::max(length, offsets[s + 1] - offsets[s]);
  return length;
}

const TranslationConfig& validated(const TranslationConfig& config) {
  config.validate();
  return config;
}

}  // namespace

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
    : config_(validated(config)), parts_(std::make_unique<TranslationParts>(config, rng)) {}

TranslationModel::~TranslationModel() = default;
TranslationModel::TranslationModel(TranslationModel&&) noexcept = default;
TranslationModel& TranslationModel::operator=(TranslationModel&&) noexcept = default;

void TranslationModel::visit(Visitor& visitor) { parts_->visit(visitor); }

Tensor TranslationModel::encode(const RaggedBatch& source, Generator* rng) const {
  check_lengths(source, "source", config_.max_tokens);
  const auto run = [&](const RaggedBatch& part) {
    const auto& stack = parts_->encoder;
    Tensor x = stack.embedded(parts_->embeddings(part.ids), part.positions, rng);
    const Tensor bias = stack.relative_bias(longest_sequence(part.offsets));
    for (size_t i = 0; i < stack.layers().size(); ++i) {
      const auto layer = [&layer = stack.layers()[i], offsets = part.offsets, rng](const std::vector<Tensor>& in) {
        return layer.forward(in[0], offsets, rng, in.size() > 1 ? in[1] : Tensor());
      };
      x = checkpointed_layer(parts_->checkpointing, layer, {x}, bias, rng);
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
  const Tensor bias = stack.relative_bias(longest_sequence(target.offsets));
  for (size_t i = 0; i < stack.layers().size(); ++i) {
    const auto layer = [&layer = stack.layers()[i], offsets = target.offsets, memory_offsets,
                        rng](const std::vector<Tensor>& in) {
      return layer.forward(in[0], offsets, in[1], memory_offsets, rng, in.size() > 2 ? in[2] : Tensor());
    };
    x = checkpointed_layer(parts_->checkpointing, layer, {x, memory}, bias, rng);
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
