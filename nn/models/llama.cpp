#include <qing/nn/models/llama.h>

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>

namespace qing::nn {
namespace {

Linear projection(const LlamaConfig& c, int64_t in, int64_t out, Generator& rng) {
  return Linear(in, out, rng, {.bias = false, .stddev = c.initializer_range});
}

class LlamaAttention : public ProjectedAttention {
 public:
  LlamaAttention(const LlamaConfig& c, Generator& rng)
      : ProjectedAttention("LlamaForCausalLM", c.hidden_size,
                           {.heads = c.num_attention_heads,
                            .key_value_heads = c.num_key_value_heads,
                            .rotary = RotaryOptions{.base = c.rope_theta}},
                           rng, {.bias = false, .stddev = c.initializer_range}) {}

  void visit(Visitor& visitor) override {
    visitor.module("q_proj", query_);
    visitor.module("k_proj", key_);
    visitor.module("v_proj", value_);
    visitor.module("o_proj", output_);
  }
};

// SwiGLU (Shazeer 2020): down(silu(gate(x))·up(x)).
class FeedForward : public UnaryModule {
 public:
  FeedForward(const LlamaConfig& c, Generator& rng)
      : gate_(projection(c, c.hidden_size, c.intermediate_size, rng)),
        up_(projection(c, c.hidden_size, c.intermediate_size, rng)),
        down_(projection(c, c.intermediate_size, c.hidden_size, rng)) {}

  void visit(Visitor& visitor) override {
    visitor.module("gate_proj", gate_);
    visitor.module("up_proj", up_);
    visitor.module("down_proj", down_);
  }

 private:
  Tensor compute(const Tensor& x, Generator*) const override {
    return down_.forward(silu(gate_.forward(x)) * up_.forward(x));
  }
  Linear gate_, up_, down_;
};

class DecoderLayer : public Module {
 public:
  DecoderLayer(const LlamaConfig& c, Generator& rng)
      : attention_(c, rng),
        feed_forward_(c, rng),
        attention_norm_(c.hidden_size, c.rms_norm_eps),
        feed_forward_norm_(c.hidden_size, c.rms_norm_eps) {}

  void visit(Visitor& visitor) override {
    visitor.module("self_attn", attention_);
    visitor.module("mlp", feed_forward_);
    visitor.module("input_layernorm", attention_norm_);
    visitor.module("post_attention_layernorm", feed_forward_norm_);
  }

  Tensor forward(const Tensor& x, const Tensor& positions, KeyValueCache* cache) const {
    const Tensor h = x + attention_.forward_dense(attention_norm_.forward(x), positions, cache);
    return h + feed_forward_.forward(feed_forward_norm_.forward(h));
  }

 private:
  LlamaAttention attention_;
  FeedForward feed_forward_;
  RMSNorm attention_norm_, feed_forward_norm_;
};

const LlamaConfig& validated(const LlamaConfig& config) {
  config.validate();
  return config;
}

}  // namespace

class LlamaModel : public Module {
 public:
  LlamaModel(const LlamaConfig& c, Generator& rng)
      : tokens_(c.vocab_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        norm_(c.hidden_size, c.rms_norm_eps) {
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers_.emplace_back(c, rng);
  }

  void visit(Visitor& visitor) override {
    visitor.module("embed_tokens", tokens_);
    visitor.module("layers", layers_);
    visitor.module("norm", norm_);
  }

  Tensor forward(const Tensor& ids, LlamaCache* cache) const {
    if (ids.dim() != 2) throw ShapeError("Llama: ids are [batch, time], got " + to_string(ids.shape()));
    const int64_t first = cache != nullptr ? (*cache)[0].length() : 0;
    const Tensor positions = Tensor::arange(first + ids.size(1)).slice(0, first, first + ids.size(1));
    Tensor x = tokens_.forward(ids);
    for (size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i].forward(x, positions, cache != nullptr ? &(*cache)[i] : nullptr);
    }
    return norm_.forward(x);
  }

  const Tensor& embeddings() const { return tokens_.weight(); }

 private:
  Embedding tokens_;
  ModuleList<DecoderLayer> layers_;
  RMSNorm norm_;
};

void LlamaConfig::validate() const {
  const auto refuse = [](const char* field, auto value, const char* need) {
    throw ValueError(fmt::format("LlamaConfig: {} is {}; it must be {}", field, value, need));
  };
  for (const auto& [field, value] :
       {std::pair{"vocab_size", vocab_size}, std::pair{"hidden_size", hidden_size},
        std::pair{"intermediate_size", intermediate_size}, std::pair{"num_hidden_layers", num_hidden_layers},
        std::pair{"num_attention_heads", num_attention_heads}, std::pair{"num_key_value_heads", num_key_value_heads}}) {
    if (value < 1) refuse(field, value, "positive");
  }
  if (hidden_size % num_attention_heads != 0) refuse("hidden_size", hidden_size, "a multiple of the heads");
  if (head_dim() % 2 != 0) refuse("hidden_size", hidden_size, "an even number of columns per head");
  if (num_attention_heads % num_key_value_heads != 0) {
    refuse("num_key_value_heads", num_key_value_heads, "a divisor of num_attention_heads");
  }
  if (!(std::isfinite(rms_norm_eps) && rms_norm_eps >= 0)) refuse("rms_norm_eps", rms_norm_eps, "finite, at least 0");
  if (!(std::isfinite(rope_theta) && rope_theta > 0)) refuse("rope_theta", rope_theta, "finite and above 0");
  if (!(std::isfinite(initializer_range) && initializer_range >= 0)) {
    refuse("initializer_range", initializer_range, "finite, at least 0");
  }
}

LlamaCache clone(const LlamaCache& cache) {
  LlamaCache copy;
  for (const KeyValueCache& layer : cache) copy.push_back(layer.clone());
  return copy;
}

LlamaForCausalLM::LlamaForCausalLM(const LlamaConfig& config, Generator& rng)
    : config_(validated(config)), model_(std::make_unique<LlamaModel>(config, rng)) {
  if (!config.tie_word_embeddings) lm_head_.emplace(projection(config, config.hidden_size, config.vocab_size, rng));
}

LlamaForCausalLM::~LlamaForCausalLM() = default;

void LlamaForCausalLM::visit(Visitor& visitor) {
  visitor.module("model", *model_);
  if (lm_head_) visitor.module("lm_head", *lm_head_);
}

Tensor LlamaForCausalLM::logits(const Tensor& hidden) const {
  return lm_head_ ? lm_head_->forward(hidden) : linear(hidden, model_->embeddings());
}

Tensor LlamaForCausalLM::forward(const Tensor& ids) const { return logits(model_->forward(ids, nullptr)); }

Tensor LlamaForCausalLM::forward(const Tensor& ids, LlamaCache& cache) const {
  if (cache.size() != static_cast<size_t>(config_.num_hidden_layers)) {
    throw ValueError(fmt::format("LlamaForCausalLM: a cache for {} layers, needs {}; see make_cache", cache.size(),
                                 config_.num_hidden_layers));
  }
  return logits(model_->forward(ids, &cache));
}

LlamaCache LlamaForCausalLM::make_cache(int64_t batch, int64_t capacity) const {
  LlamaCache cache;
  for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
    cache.emplace_back(batch, config_.num_key_value_heads, capacity, config_.head_dim(), model_->embeddings().dtype());
  }
  return cache;
}

Tensor LlamaForCausalLM::generate(const Tensor& ids, const GenerateOptions& options, Generator* rng) const {
  const TokenSampler sampler(options, rng);
  if (ids.dim() != 2 || ids.size(1) < 1) {
    throw ShapeError("generate: ids are [batch, time ≥ 1], got " + to_string(ids.shape()));
  }
  const NoGradGuard guard;
  const int64_t batch = ids.size(0), prompt = ids.size(1);
  int64_t total = 0;
  if (__builtin_add_overflow(prompt, options.max_new_tokens, &total)) {
    throw ValueError(fmt::format("generate: max_new_tokens {} is too large", options.max_new_tokens));
  }
  Tensor all = Tensor::zeros({batch, total}, DType::i64);
  all.slice(1, 0, prompt).copy_from(ids);
  LlamaCache cache = make_cache(batch, total);
  std::vector<bool> ended(static_cast<size_t>(batch), false);
  int64_t length = prompt;
  for (Tensor fresh = all.slice(1, 0, prompt); length < total; fresh = all.slice(1, length - 1, length)) {
    const Tensor next = sampler.draw(select(forward(fresh, cache), 1, -1));
    bool all_ended = true;
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t token = ended[b] ? *options.eos_token_id : next.data<int64_t>()[b];
      all.data<int64_t>()[b * total + length] = token;
      ended[b] = options.eos_token_id == token;
      all_ended = all_ended && ended[b];
    }
    ++length;
    if (all_ended) break;
  }
  return all.slice(1, 0, length).contiguous();
}

}  // namespace qing::nn
