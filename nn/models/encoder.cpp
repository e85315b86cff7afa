#include <qing/nn/models/encoder.h>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/layers/layers.h>
#include <qing/nn/models/batch_parts.h>
#include <qing/nn/models/checkpointed_layer.h>
#include <qing/nn/models/module_group.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr const char* kModelName = "Encoder";

// The numbers of the rows of the position table. Families after RoBERTa leave tokens of padding out of the count, also
// inside of a text.
Tensor positions_of(const EncoderConfig& c, const RaggedBatch& batch) {
  const int64_t first = c.first_position();
  if (first == 0) return batch.positions;
  const auto padding = static_cast<int32_t>(first - 1);
  const Tensor ids = batch.ids.contiguous();
  Tensor positions = Tensor::empty({batch.tokens()}, DType::i32);
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    int32_t last = padding;
    for (int64_t i = batch.offsets[s]; i < batch.offsets[s + 1]; ++i) {
      positions.data<int32_t>()[i] = ids.data<int32_t>()[i] == padding ? padding : ++last;
    }
  }
  return positions;
}

class Embeddings : public Module {
 public:
  Embeddings(const EncoderConfig& c, Generator& rng)
      : config_(c),
        words_(c.vocab_size, c.embedding_width(), rng, {.stddev = c.initializer_range}),
        positions_(c.max_position_embeddings, c.embedding_width(), rng, {.stddev = c.initializer_range}),
        norm_(c.embedding_width(), c.layer_norm_eps) {
    if (c.has_token_types()) {
      types_.emplace(c.type_vocab_size, c.embedding_width(), rng, EmbeddingOptions{.stddev = c.initializer_range});
    }
  }

  void visit(Visitor& visitor) override {
    visitor.module("word_embeddings", words_);
    visitor.module("position_embeddings", positions_);
    if (types_) visitor.module("token_type_embeddings", *types_);
    visitor.module("LayerNorm", norm_);
  }

  const Tensor& words() const { return words_.weight(); }

  Tensor forward(const RaggedBatch& batch, Generator* rng) const {
    return forward({words_.weight(), batch.ids}, batch, rng);
  }
  // With other vectors [tokens, width] in the place of the word embeddings.
  Tensor forward(const Tensor& embeddings, const RaggedBatch& batch, Generator* rng) const {
    return forward({embeddings, Tensor::arange(batch.tokens(), DType::i32)}, batch, rng);
  }

 private:
  Tensor forward(TableRows words, const RaggedBatch& batch, Generator* rng) const {
    const double dropout = config_.hidden_dropout_prob;
    Generator* const active = training() && dropout > 0 ? rng : nullptr;
    if (training() && dropout > 0) check_generator(kModelName, rng);
    std::vector<TableRows> tables{std::move(words)};
    // Every token is of type 0: a batch holds single texts, not pairs.
    if (types_) tables.push_back({types_->weight()});
    tables.push_back({positions_.weight(), positions_of(config_, batch)});
    return norm_.forward_tables(tables, dropout, active);
  }

  EncoderConfig config_;
  Embedding words_, positions_;
  std::optional<Embedding> types_;
  LayerNorm norm_;
};

class SelfAttention : public ProjectedAttention {
 public:
  SelfAttention(const EncoderConfig& c, Generator& rng)
      : ProjectedAttention(kModelName, c.hidden_size,
                           {.heads = c.num_attention_heads, .dropout = c.attention_probs_dropout_prob}, rng,
                           {.stddev = c.initializer_range}) {}

  void visit(Visitor& visitor) override {
    visitor.module("query", query_);
    visitor.module("key", key_);
    visitor.module("value", value_);
  }
  Linear& dense() { return output_; }  // in Hugging Face's layout a part of the layer
};

EncoderBlockOptions block_of(const EncoderConfig& c) {
  return {.name = kModelName,
          .width = c.hidden_size,
          .hidden = c.intermediate_size,
          .sublayers = {.dropout = c.hidden_dropout_prob, .activation = c.hidden_act},
          .norm_eps = c.layer_norm_eps,
          .linear = {.stddev = c.initializer_range}};
}

class Layer : public EncoderBlock<SelfAttention> {
 public:
  Layer(const EncoderConfig& c, Generator& rng) : EncoderBlock(SelfAttention(c, rng), block_of(c), rng) {}

  void visit(Visitor& visitor) override {
    visitor.module("attention", attention_group_);
    visitor.module("intermediate", intermediate_);
    visitor.module("output", output_);
  }

 private:
  ModuleGroup attention_output_{{{"dense", &attention_.dense()}, {"LayerNorm", attention_norm_.get()}}};
  ModuleGroup attention_group_{{{"self", &attention_}, {"output", &attention_output_}}};
  ModuleGroup intermediate_{{{"dense", &wide_}}};
  ModuleGroup output_{{{"dense", &narrow_}, {"LayerNorm", feed_forward_norm_.get()}}};
};

class Layers : public Module {
 public:
  Layers(const EncoderConfig& c, Generator& rng) {
    const bool shared = c.family == EncoderFamily::albert;
    const int64_t count = shared ? c.num_hidden_groups * c.inner_group_num : c.num_hidden_layers;
    for (int64_t i = 0; i < count; ++i) layers_.emplace_back(c, rng);
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
      if (!shared) {
        sequence_.push_back(static_cast<size_t>(i));
        continue;
      }
      // As transformers divides, whose quotient need not be whole.
      const auto group = static_cast<int64_t>(static_cast<double>(i) / (static_cast<double>(c.num_hidden_layers) /
                                                                        static_cast<double>(c.num_hidden_groups)));
      for (int64_t j = 0; j < c.inner_group_num; ++j) {
        sequence_.push_back(static_cast<size_t>(group * c.inner_group_num + j));
      }
    }
    if (c.family == EncoderFamily::mpnet) {
      bias_.emplace(c.num_attention_heads, rng, RelativePositionOptions{.stddev = c.initializer_range},
                    c.relative_attention_num_buckets);
    }
  }
  void visit(Visitor& visitor) override {
    visitor.module("layer", layers_);
    if (bias_) visitor.module("relative_attention_bias", *bias_);
  }

  Tensor forward(Tensor x, const Offsets& offsets, Generator* rng) const {
    const Tensor bias = bias_for(offsets);
    for (const size_t i : sequence_) x = block(i, x, offsets, rng, bias);
    return x;
  }

  void set_checkpointing(bool on) { checkpointing_ = on; }

  // Of each sequence's first token only: nothing else of the last block is looked at, so nothing else is computed.
  Tensor forward_firsts(Tensor x, const RaggedBatch& batch, Generator* rng) const {
    const Tensor bias = bias_for(batch.offsets);
    for (size_t i = 0; i + 1 < sequence_.size(); ++i) { x = block(sequence_[i], x, batch.offsets, rng, bias); }
    Offsets one_each(batch.offsets.size());
    std::iota(one_each.begin(), one_each.end(), 0);
    const Offsets first_rows(static_cast<size_t>(batch.sequences()), 0);
    const Layer& last = layers_[sequence_.back()];
    const auto rows_of = [&last, one_each, first_rows, firsts = batch.firsts, offsets = batch.offsets,
                          rng](const std::vector<Tensor>& in) {
      return last.forward_rows(index_select(in[0], 0, firsts), one_each, in[0], offsets, rng, first_rows,
                               in.size() > 1 ? in[1] : Tensor());
    };
    return checkpointed_layer(checkpointing_, rows_of, {x}, bias, rng);
  }

 private:
  Tensor block(size_t i, const Tensor& x, const Offsets& offsets, Generator* rng, const Tensor& bias) const {
    const Layer& layer = layers_[i];
    const auto rows = [&layer, offsets, rng](const std::vector<Tensor>& in) {
      return layer.forward(in[0], offsets, false, rng, in.size() > 1 ? in[1] : Tensor());
    };
    return checkpointed_layer(checkpointing_, rows, {x}, bias, rng);
  }

  Tensor bias_for(const Offsets& offsets) const {
    if (!bias_) return {};
    int64_t longest = 1;
    for (size_t s = 0; s + 1 < offsets.size(); ++s) longest = std::max(longest, offsets[s + 1] - offsets[s]);
    return bias_->forward(longest);
  }

  bool checkpointing_ = false;
  ModuleList<Layer> layers_;
  std::vector<size_t> sequence_;  // of layers_, as they follow each other
  std::optional<RelativePositionBias> bias_;
};

const EncoderConfig& validated(const EncoderConfig& config) {
  config.validate();
  return config;
}

}  // namespace

class Encoder::Parts {
 public:
  Parts(const EncoderConfig& c, Generator& rng, bool pooler) : embeddings(c, rng), layers(c, rng) {
    if (pooler) {
      pooler_dense.emplace(c.hidden_size, c.hidden_size, rng, LinearOptions{.stddev = c.initializer_range});
      pooler_group.emplace(std::vector<std::pair<const char*, Module*>>{{"dense", &*pooler_dense}});
    }
    if (c.projects_embeddings()) {
      projection.emplace(c.embedding_width(), c.hidden_size, rng, LinearOptions{.stddev = c.initializer_range});
    }
  }
  Parts(Parts&&) = delete;  // a group points to its part

  Tensor projected(const Tensor& embedded) const { return projection ? projection->forward(embedded) : embedded; }

  Embeddings embeddings;
  Layers layers;
  std::optional<Linear> pooler_dense, projection;
  std::optional<ModuleGroup> pooler_group;
};

Encoder::Encoder(const EncoderConfig& config, Generator& rng, bool pooler)
    : config_(validated(config)), parts_(std::make_unique<Parts>(config, rng, pooler)) {}

Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

void Encoder::visit(Visitor& visitor) {
  visitor.module("embeddings", parts_->embeddings);
  if (parts_->projection) visitor.module("embeddings_project", *parts_->projection);
  visitor.module("encoder", parts_->layers);
  if (parts_->pooler_group) visitor.module("pooler", *parts_->pooler_group);
}

// A generator belongs to one thread, so a batch whose dropouts may draw from it is not computed in parts.
template <class Run> Tensor Encoder::compute(const RaggedBatch& batch, Generator* rng, const Run& run) const {
  if (rng != nullptr) return run(batch, rng);
  return in_parts(batch, [&](const RaggedBatch& part) { return run(part, nullptr); });
}

Tensor Encoder::forward(const RaggedBatch& batch, Generator* rng) const {
  return compute(batch, rng, [&](const RaggedBatch& part, Generator* generator) {
    const Tensor embedded = parts_->embeddings.forward(part, generator);
    return parts_->layers.forward(parts_->projected(embedded), part.offsets, generator);
  });
}

Tensor Encoder::forward_firsts(const RaggedBatch& batch, Generator* rng) const {
  return compute(batch, rng, [&](const RaggedBatch& part, Generator* generator) {
    const Tensor embedded = parts_->embeddings.forward(part, generator);
    return parts_->layers.forward_firsts(parts_->projected(embedded), part, generator);
  });
}

Tensor Encoder::forward_firsts(const Tensor& embeddings, const RaggedBatch& batch, Generator* rng) const {
  return parts_->layers.forward_firsts(parts_->projected(parts_->embeddings.forward(embeddings, batch, rng)), batch,
                                       rng);
}

void Encoder::checkpoint_layers(bool on) { parts_->layers.set_checkpointing(on); }

const Linear& Encoder::pooler() const {
  if (!parts_->pooler_dense) throw ValueError("Encoder: was built without a pooler");
  return *parts_->pooler_dense;
}

const Tensor& Encoder::word_embeddings() const { return parts_->embeddings.words(); }

}  // namespace qing::nn
