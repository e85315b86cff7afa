// A decoder-only language model of Llama's architecture (Touvron et al. 2023): RMSNorm before each sublayer, rotary
// positions, grouped-query attention, SwiGLU, no biases. Parameter names are those of Hugging Face's LlamaForCausalLM.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/multihead_attention.h>
#include <qing/nn/models/sampling.h>
#include <qing/nn/module.h>

namespace qing::nn {

struct LlamaConfig {
  int64_t vocab_size = 32000;
  int64_t hidden_size = 256;
  int64_t intermediate_size = 688;
  int64_t num_hidden_layers = 4;
  int64_t num_attention_heads = 8;
  int64_t num_key_value_heads = 8;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  bool tie_word_embeddings = false;  ///< the output layer shares the weights of the embedding table
  double initializer_range = 0.02;   ///< weights are normal(0, this)

  void validate() const;  ///< ValueError naming the field.
  int64_t head_dim() const { return hidden_size / num_attention_heads; }
};

/// One cache per layer. It can be moved but not copied; see clone().
using LlamaCache = std::vector<KeyValueCache>;
LlamaCache clone(const LlamaCache& cache);  ///< An independent copy with the same positions.

class LlamaModel;

/// Predicts the next token. forward is const: it may be called from many threads.
class LlamaForCausalLM : public Module {
 public:
  LlamaForCausalLM(const LlamaConfig& config, Generator& rng);  ///< ValueError from LlamaConfig::validate.
  ~LlamaForCausalLM() override;
  void visit(Visitor& visitor) override;

  /// Returns logits [batch, time, vocab_size] of the token after each of ids [batch, time] (i32 or i64).
  Tensor forward(const Tensor& ids) const;
  Tensor operator()(const Tensor& ids) const { return forward(ids); }
  /// The same for new tokens after those in the cache. Only the new tokens are computed. For inference: AutogradError
  /// when a graph would be recorded.
  Tensor forward(const Tensor& ids, LlamaCache& cache) const;
  Tensor operator()(const Tensor& ids, LlamaCache& cache) const { return forward(ids, cache); }
  LlamaCache make_cache(int64_t batch, int64_t capacity) const;

  /// Returns ids i64 [batch, time ≥ 1] followed by the new tokens. With the cache each token is computed once.
  /// ValueError for a temperature without rng, or for options out of their range. Takes one number of rng per drawn
  /// token.
  Tensor generate(const Tensor& ids, const GenerateOptions& options = {}, Generator* rng = nullptr) const;
  const LlamaConfig& config() const { return config_; }

 private:
  Tensor logits(const Tensor& hidden) const;
  LlamaConfig config_;
  std::unique_ptr<LlamaModel> model_;
  std::optional<Linear> lm_head_;
};

}  // namespace qing::nn
