#include <qing/nn/models/bert.h>

#include <array>
#include <numeric>
#include <vector>

#include <qing/autograd/ops.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {
namespace {

constexpr const char* kName = "BertForSequenceClassification";

// A module that only adds a level to the names of its parts, for Hugging Face's nested names.
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
  // Uses the given vectors [tokens, width] instead of the word embeddings.
  Tensor forward_words(const Tensor& words, const RaggedBatch& batch, Generator* rng) const {
    return forward({words, Tensor::arange(batch.tokens(), DType::i32)}, batch, rng);
  }

 private:
  Tensor forward(TableRows words, const RaggedBatch& batch, Generator* rng) const {
    Generator* const active = training() && dropout_ > 0 ? rng : nullptr;
    if (training() && dropout_ > 0) check_generator(kName, rng);
    // Every token has the type 0, because a batch has single texts, not pairs.
    return norm_.forward_tables({std::move(words), {types_.weight()}, {positions_.weight(), batch.positions}}, dropout_,
                                active);
  }

  Embedding words_, positions_, types_;
  LayerNorm norm_;
  double dropout_;
};

class SelfAttention : public RaggedAttention {
 public:
  SelfAttention(const BertConfig& c, Generator& rng)
      : RaggedAttention(kName, c.num_attention_heads, c.attention_probs_dropout_prob),
        query_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        key_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        value_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}),
        dense_(c.hidden_size, c.hidden_size, rng, {.stddev = c.initializer_range}) {}

  void visit(Visitor& visitor) override {
    visitor.module("query", query_);
    visitor.module("key", key_);
    visitor.module("value", value_);
  }
  Linear& dense() { return dense_; }  // a part of the layer in Hugging Face's names

 private:
  Tensor queries(const Tensor& x) const override { return query_.forward(x); }
  Tensor keys_values(const Tensor& x) const override { return forward_joined(x, std::array{&key_, &value_}); }
  Tensor queries_keys_values(const Tensor& x) const override {
    return forward_joined(x, std::array{&query_, &key_, &value_});
  }
  const Linear& output() const override { return dense_; }

  Linear query_, key_, value_, dense_;
};

EncoderBlockOptions block_of(const BertConfig& c) {
  return {.name = kName,
          .width = c.hidden_size,
          .hidden = c.intermediate_size,
          .sublayers = {.dropout = c.hidden_dropout_prob, .activation = FeedForwardActivation::gelu},
          .norm_eps = c.layer_norm_eps,
          .linear = {.stddev = c.initializer_range}};
}

class Layer : public EncoderBlock<SelfAttention> {
 public:
  Layer(const BertConfig& c, Generator& rng) : EncoderBlock(SelfAttention(c, rng), block_of(c), rng) {}

  void visit(Visitor& visitor) override {
    visitor.module("attention", attention_group_);
    visitor.module("intermediate", intermediate_);
    visitor.module("output", output_);
  }

 private:
  Group attention_output_{{{"dense", &attention_.dense()}, {"LayerNorm", attention_norm_.get()}}};
  Group attention_group_{{{"self", &attention_}, {"output", &attention_output_}}};
  Group intermediate_{{{"dense", &wide_}}};
  Group output_{{{"dense", &narrow_}, {"LayerNorm", feed_forward_norm_.get()}}};
};

class Layers : public Module {
 public:
  Layers(const BertConfig& c, Generator& rng) {
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers_.emplace_back(c, rng);
  }
  void visit(Visitor& visitor) override { visitor.module("layer", layers_); }

  Tensor forward(Tensor x, const Offsets& offsets, Generator* rng) const {
    for (size_t i = 0; i < layers_.size(); ++i) x = layers_[i].forward(x, offsets, false, rng);
    return x;
  }

  // Computes only the first token of each sequence, because the classifier reads only that token of the last layer.
  Tensor forward_firsts(Tensor x, const RaggedBatch& batch, Generator* rng) const {
    const size_t last = layers_.size() - 1;
    for (size_t i = 0; i < last; ++i) x = layers_[i].forward(x, batch.offsets, false, rng);
    Offsets one_each(batch.offsets.size());
    std::iota(one_each.begin(), one_each.end(), 0);
    return layers_[last].forward_rows(index_select(x, 0, batch.firsts), one_each, x, batch.offsets, rng);
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
  // The first token, [CLS], represents the sequence.
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
