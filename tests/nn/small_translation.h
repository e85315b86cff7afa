// Small random translation models of every kind.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/init.h>
#include <qing/nn/models/translation_model.h>
#include <qing/tensor/random.h>

namespace qing::nn::test {

inline TranslationConfig small_translation_config() {
  return {.vocab_size = 23,
          .width = 16,
          .encoder_layers = 2,
          .decoder_layers = 2,
          .encoder_heads = 2,
          .decoder_heads = 2,
          .encoder_hidden = 24,
          .decoder_hidden = 24,
          .max_tokens = 40,
          .dropout = 0};
}

/// The architectures of qing, Marian, BART, M2M-100 and T5, and qing's with other positions.
inline std::vector<std::pair<std::string, TranslationConfig>> small_translation_configs() {
  const TranslationConfig own = small_translation_config();
  std::vector<std::pair<std::string, TranslationConfig>> all{{"qing", own}};
  TranslationConfig c = own;
  c.positions = PositionKind::learned;
  all.emplace_back("learned", c);
  c.positions = PositionKind::sinusoidal;
  all.emplace_back("sinusoidal", c);
  c.positions = PositionKind::sinusoidal_split;
  c.norm_first = c.final_norm = false;
  c.activation = FeedForwardActivation::silu;
  c.output_bias = true;
  all.emplace_back("marian", c);
  c.positions = PositionKind::learned;
  c.position_offset = 2;
  c.embedding_norm = true;
  c.scale_embeddings = false;
  c.activation = FeedForwardActivation::gelu;
  all.emplace_back("bart", c);
  c = own;
  c.positions = PositionKind::sinusoidal_tensor2tensor;
  c.position_offset = 2;
  all.emplace_back("m2m", c);
  c = own;
  c.positions = PositionKind::relative;
  c.relative_buckets = 8;
  c.relative_max_distance = 12;
  c.norm = NormKind::rms_norm;
  c.norm_eps = 1e-6;
  c.activation = FeedForwardActivation::gelu_tanh;
  c.gated = true;
  c.biases = c.scale_scores = c.scale_embeddings = c.tie_output = false;
  c.head_width = 6;
  all.emplace_back("t5", c);
  c.gated = false;
  c.activation = FeedForwardActivation::relu;
  c.tie_output = c.scale_output = true;
  all.emplace_back("t5 tied", c);
  return all;
}

/// A model whose parameters are all random, so that each of them matters.
inline TranslationModel random_translation_model(const TranslationConfig& config, uint64_t seed = 1) {
  Generator rng(seed);
  TranslationModel model(config, rng);
  for (auto& [name, parameter] : model.named_parameters()) {
    const bool norm = name.find("norm.weight") != std::string::npos;
    if (parameter.dim() == 1) init::normal(parameter, rng, norm ? 1 : 0, 0.3);
    if (name == "output.weight" || name == "embeddings.weight") init::normal(parameter, rng, 0, 1);
  }
  return model;
}

inline std::vector<int32_t> random_ids(int64_t count, int64_t vocabulary, Generator& rng) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i + 1 < count; ++i) {
    ids.push_back(4 + static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocabulary - 4))));
  }
  ids.push_back(3);  // the end
  return ids;
}

inline std::vector<std::vector<int32_t>> random_sentences(const std::vector<int64_t>& lengths, int64_t vocabulary,
                                                          uint64_t seed = 5) {
  Generator rng(seed);
  std::vector<std::vector<int32_t>> all;
  for (const int64_t length : lengths) all.push_back(random_ids(length, vocabulary, rng));
  return all;
}

inline std::vector<std::span<const int32_t>> spans(const std::vector<std::vector<int32_t>>& sentences) {
  return {sentences.begin(), sentences.end()};
}

}  // namespace qing::nn::test
