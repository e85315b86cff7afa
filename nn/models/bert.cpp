#include <qing/nn/models/bert.h>

#include <array>
#include <numeric>
#include <vector>

#include <qing/autograd/ops.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {
namespace {

// A module that only gives its parts' names another level, as Hugging Face's layout has many.
class Group : public Module {
 public:
  explicit Group(std::vector<std::pair<const char*, Module*>> parts) : parts_(std::move(parts)) {}
  Group(Group&&) = delete;  // it points to its neighbours
  void visit(Visitor& visitor) override {
    for (const auto& [name, part] : parts_) visitor.module(name, *part);
  }

 private:
  std::vector<std::pair<const char*, Module*>> parts_;
};

class Embeddings : public Module {
 public:
  Embeddings(const BertConfig& c, Generator& rng)
      : words_(c.vocab_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        positions_(c.max_position_embeddings, c.hidden_size, rng, {.stddev = c.initializer_range}),
        types_(c.type_vocab_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        norm_(c.hidden_size, c.layer_norm_eps),
        dropout_(c.hidden_dropout_prob) {}

  void visit(Visitor& visitor) override {
    visitor.module("word_embeddings", words_);
    visitor.module("position_embeddings", positions_);
    visitor.module("token_type_embeddings", types_);
    visitor.module("LayerNorm", norm_);
  }

  Tensor words(const Tensor& ids) const { return words_.forward(ids); }

  Tensor forward(const RaggedBatch& batch, Generator* rng) const {
    return forward({words_.weight(), batch.ids}, batch, rng);
  }
  // With other vectors [tokens, width] in the words' place.
  Tensor forward_words(const Tensor& words, const RaggedBatch& batch, Generator* rng) const {
    return forward({words, Tensor::arange(batch.tokens(), DType::i32)}, batch, rng);
  }

 private:
  Tensor forward(TableRows words, const RaggedBatch& batch, Generator* rng) const {
    Generator* const active = training() && dropout_ > 0 ? rng : nullptr;
    if (training() && dropout_ > 0) check_generator("BertForSequenceClassification", rng);
    // Every token is of type 0: a batch holds single texts, not pairs.
    return norm_.forward_tables({std::move(words), {types_.weight()}, {positions_.weight(), batch.positions}}, dropout_,
                                active);
  }

  Embedding words_, positions_, types_;
  LayerNorm norm_;
  double dropout_;
};

class Layer : public Module {
 public:
  Layer(const BertConfig& c, Generator& rng)
      : heads_(c.num_attention_heads),
        hidden_dropout_(c.hidden_dropout_prob),
        attention_dropout_(c.attention_probs_dropout_prob),
        query_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        key_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        value_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        attention_dense_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        attention_norm_(c.hidden_size, c.layer_norm_eps),
        intermediate_dense_(c.hidden_size, c.intermediate_size, rng, {.stddev = c.initializer_range}),
        output_dense_(c.intermediate_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        output_norm_(c.hidden_size, c.layer_norm_eps) {}

  void visit(Visitor& visitor) override {
    visitor.module("attention", attention_);
    visitor.module("intermediate", intermediate_);
    visitor.module("output", output_);
  }

  Tensor forward(const Tensor& x, const Offsets& offsets, Generator* rng) const {
    Generator* const active = dropout_rng(rng);
    const Tensor qkv = forward_joined(x, std::array{&query_, &key_, &value_});
    return behind_attention(attention_qkv_packed(qkv, offsets, heads_, attention_dropout_, active), x, active);
  }

  // The results of the rows `wanted` of x alone: everything but the keys and values is computed for them only.
  Tensor forward(const Tensor& wanted, const Offsets& wanted_offsets, const Tensor& x, const Offsets& offsets,
                 Generator* rng) const {
    Generator* const active = dropout_rng(rng);
    const Tensor kv = forward_joined(x, std::array{&key_, &value_});
    const Tensor mixed =
        attention_kv_packed(query_.forward(wanted), kv, wanted_offsets, offsets, heads_, attention_dropout_, active);
    return behind_attention(mixed, wanted, active);
  }

 private:
  Tensor behind_attention(const Tensor& mixed, const Tensor& wanted, Generator* active) const {
    const Tensor h = attention_norm_.forward_residual(attention_dense_.forward(mixed), wanted, hidden_dropout_, active);
    const Tensor wide = intermediate_dense_.forward_gelu(h);
    return output_norm_.forward_residual(output_dense_.forward(wide), h, hidden_dropout_, active);
  }

  // Null when nothing is to be dropped.
  Generator* dropout_rng(Generator* rng) const {
    if (!training() || (hidden_dropout_ == 0 && attention_dropout_ == 0)) return nullptr;
    check_generator("BertForSequenceClassification", rng);
    return rng;
  }

  int64_t heads_;
  double hidden_dropout_, attention_dropout_;
  Linear query_, key_, value_, attention_dense_;
  LayerNorm attention_norm_;
  Linear intermediate_dense_, output_dense_;
  LayerNorm output_norm_;
  Group self_{{{"query", &query_}, {"key", &key_}, {"value", &value_}}};
  Group attention_output_{{{"dense", &attention_dense_}, {"LayerNorm", &attention_norm_}}};
  Group attention_{{{"self", &self_}, {"output", &attention_output_}}};
  Group intermediate_{{{"dense", &intermediate_dense_}}};
  Group output_{{{"dense", &output_dense_}, {"LayerNorm", &output_norm_}}};
};

class Layers : public Module {
 public:
  Layers(const BertConfig& c, Generator& rng) {
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers_.emplace_back(c, rng);
  }
  void visit(Visitor& visitor) override { visitor.module("layer", layers_); }

  Tensor forward(Tensor x, const Offsets& offsets, Generator* rng) const {
    for (size_t i = 0; i < layers_.size(); ++i) x = layers_[i].forward(x, offsets, rng);
    return x;
  }

  // Of each sequence's first token only: nothing else of the last layer is looked at, so nothing else is computed.
  Tensor forward_firsts(Tensor x, const RaggedBatch& batch, Generator* rng) const {
    const size_t last = layers_.size() - 1;
    for (size_t i = 0; i < last; ++i) x = layers_[i].forward(x, batch.offsets, rng);
    Offsets one_each(batch.offsets.size());
    std::iota(one_each.begin(), one_each.end(), 0);
    return layers_[last].forward(index_select(x, 0, batch.firsts), one_each, x, batch.offsets, rng);
  }

 private:
  ModuleList<Layer> layers_;
};

}  // namespace

class BertEncoder : public Module {
 public:
  BertEncoder(const BertConfig& c, Generator& rng)
      : embeddings_(c, rng),
        layers_(c, rng),
        pooler_dense_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}) {}

  void visit(Visitor& visitor) override {
    visitor.module("embeddings", embeddings_);
    visitor.module("encoder", layers_);
    visitor.module("pooler", pooler_);
  }

  Tensor words(const Tensor& ids) const { return embeddings_.words(ids); }

  Tensor hidden_states(const RaggedBatch& batch, Generator* rng) const {
    return layers_.forward(embeddings_.forward(batch, rng), batch.offsets, rng);
  }

  Tensor pooled(const RaggedBatch& batch, Generator* rng) const {
    return pool(embeddings_.forward(batch, rng), batch, rng);
  }
  Tensor pooled_words(const Tensor& words, const RaggedBatch& batch, Generator* rng) const {
    return pool(embeddings_.forward_words(words, batch, rng), batch, rng);
  }

 private:
  // The first token of a sequence, [CLS], stands for it.
  Tensor pool(const Tensor& embedded, const RaggedBatch& batch, Generator* rng) const {
    return tanh(pooler_dense_.forward(layers_.forward_firsts(embedded, batch, rng)));
  }

  Embeddings embeddings_;
  Layers layers_;
  Linear pooler_dense_;
  Group pooler_{{{"dense", &pooler_dense_}}};
};

namespace {

const BertConfig& validated(const BertConfig& config) {
  config.validate();
  return config;
}

}  // namespace

BertForSequenceClassification::BertForSequenceClassification(const BertConfig& config, Generator& rng)
    : config_(validated(config)),
      bert_(std::make_unique<BertEncoder>(config, rng)),
      dropout_(config.hidden_dropout_prob),
      classifier_(config.hidden_size, static_cast<int64_t>(config.labels.size()), rng,
                  {.stddev = config.initializer_range}) {}

BertForSequenceClassification::~BertForSequenceClassification() = default;

void BertForSequenceClassification::visit(Visitor& visitor) {
  visitor.module("bert", *bert_);
  visitor.module("dropout", dropout_);
  visitor.module("classifier", classifier_);
}

Tensor BertForSequenceClassification::hidden_states(const RaggedBatch& batch, Generator* rng) const {
  return bert_->hidden_states(batch, rng);
}

Tensor BertForSequenceClassification::forward(const RaggedBatch& batch, Generator* rng) const {
  return classifier_.forward(dropout_.forward(bert_->pooled(batch, rng), rng));
}

Tensor BertForSequenceClassification::word_embeddings(const Tensor& ids) const { return bert_->words(ids); }

Tensor BertForSequenceClassification::forward_words(const Tensor& words, const RaggedBatch& batch,
                                                    Generator* rng) const {
  return classifier_.forward(dropout_.forward(bert_->pooled_words(words, batch, rng), rng));
}

}  // namespace qing::nn
