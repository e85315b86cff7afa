#include <qing/nn/models/encoder_heads.h>

#include <qing/autograd/ops.h>
#include <qing/nn/init.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

using enum EncoderFamily;

// As torch.nn.functional.normalize.
constexpr double kLeastNorm = 1e-12;

const ClassifierConfig& validated(const ClassifierConfig& config) {
  config.validate();
  return config;
}

Linear to_labels(const ClassifierConfig& config, Generator& rng) {
  return Linear(config.encoder.hidden_size, std::ssize(config.labels), rng,
                {.stddev = config.encoder.initializer_range});
}

double classifier_dropout(const EncoderConfig& config) {
  return config.classifier_dropout.value_or(config.hidden_dropout_prob);
}

// Heads of DistilBERT, BERT and ALBERT drop their hidden values only.
bool drops_features(EncoderFamily family) {
  return family == roberta || family == xlm_roberta || family == electra || family == mpnet;
}

Tensor head_activation(EncoderFamily family, const Tensor& x) {
  switch (family) {
    case distilbert: return relu(x);
    case electra: return gelu(x);
    case bert:
    case albert:
    case roberta:
    case xlm_roberta:
    case mpnet: return tanh(x);
  }
  throw ValueError("EncoderForSequenceClassification: not a family");
}

// The masked-language-model head of these families has the encoder's activation; that of the others is always gelu.
FeedForwardActivation prediction_activation(const EncoderConfig& config) {
  const bool follows = config.family == bert || config.family == distilbert || config.family == albert;
  return follows ? config.hidden_act : FeedForwardActivation::gelu;
}

}  // namespace

EncoderForSequenceClassification::EncoderForSequenceClassification(const ClassifierConfig& config, Generator& rng)
    : config_(validated(config)),
      encoder_(config.encoder, rng, true),
      dropout_(classifier_dropout(config.encoder)),
      classifier_(to_labels(config, rng)) {}

void EncoderForSequenceClassification::visit(Visitor& visitor) {
  visitor.module("bert", encoder_);
  visitor.module("dropout", dropout_);
  visitor.module("classifier", classifier_);
}

Tensor EncoderForSequenceClassification::logits(const Tensor& firsts, Generator* rng) const {
  const EncoderFamily family = config_.encoder.family;
  const Tensor features = drops_features(family) ? dropout_.forward(firsts, rng) : firsts;
  const Tensor hidden = head_activation(family, encoder_.pooler().forward(features));
  return classifier_.forward(dropout_.forward(hidden, rng));
}

Tensor EncoderForSequenceClassification::forward(const RaggedBatch& batch, Generator* rng) const {
  return logits(encoder_.forward_firsts(batch, rng), rng);
}

Tensor EncoderForSequenceClassification::word_embeddings(const Tensor& ids) const {
  return embedding(encoder_.word_embeddings(), ids);
}

Tensor EncoderForSequenceClassification::forward_embeddings(const Tensor& embeddings, const RaggedBatch& batch,
                                                            Generator* rng) const {
  return logits(encoder_.forward_firsts(embeddings, batch, rng), rng);
}

Tensor EncoderForSequenceClassification::hidden_states(const RaggedBatch& batch, Generator* rng) const {
  return encoder_.forward(batch, rng);
}

EncoderForTokenClassification::EncoderForTokenClassification(const ClassifierConfig& config, Generator& rng)
    : config_(validated(config)),
      encoder_(config.encoder, rng, false),
      dropout_(classifier_dropout(config.encoder)),
      classifier_(to_labels(config, rng)) {}

void EncoderForTokenClassification::visit(Visitor& visitor) {
  visitor.module("bert", encoder_);
  visitor.module("dropout", dropout_);
  visitor.module("classifier", classifier_);
}

Tensor EncoderForTokenClassification::forward(const RaggedBatch& batch, Generator* rng) const {
  return classifier_.forward(dropout_.forward(encoder_.forward(batch, rng), rng));
}

Tensor EncoderForTokenClassification::forward_at(const RaggedBatch& batch, const Tensor& rows, Generator* rng) const {
  return classifier_.forward(dropout_.forward(index_select(encoder_.forward(batch, rng), 0, rows), rng));
}

EncoderForMaskedLM::Predictions::Predictions(const EncoderConfig& config, Generator& rng)
    : activation_(prediction_activation(config)),
      dense_(config.hidden_size, config.embedding_width(), rng, {.stddev = config.initializer_range}),
      norm_(config.embedding_width(), config.layer_norm_eps),
      bias_(Tensor::zeros({config.vocab_size})) {
  if (config.tie_word_embeddings) return;
  decoder_ = Tensor::empty({config.vocab_size, config.embedding_width()});
  init::normal(decoder_, rng, 0, config.initializer_range);
}

void EncoderForMaskedLM::Predictions::visit(Visitor& visitor) {
  visitor.module("transform", transform_);
  visitor.parameter("decoder.weight", decoder_);
  visitor.parameter("bias", bias_);
}

Tensor EncoderForMaskedLM::Predictions::forward(const Tensor& hidden, const Tensor& words) const {
  const Tensor transformed = norm_.forward(activated_linear(hidden, dense_, activation_));
  return linear(transformed, decoder_.defined() ? decoder_ : words, bias_);
}

EncoderForMaskedLM::EncoderForMaskedLM(const EncoderConfig& config, Generator& rng)
    : encoder_(config, rng, false), predictions_(config, rng) {}

void EncoderForMaskedLM::visit(Visitor& visitor) {
  visitor.module("bert", encoder_);
  visitor.module("cls", cls_);
}

Tensor EncoderForMaskedLM::forward(const RaggedBatch& batch, Generator* rng) const {
  return predictions_.forward(encoder_.forward(batch, rng), encoder_.word_embeddings());
}

Tensor EncoderForMaskedLM::forward_at(const RaggedBatch& batch, const Tensor& rows, Generator* rng) const {
  return predictions_.forward(index_select(encoder_.forward(batch, rng), 0, rows), encoder_.word_embeddings());
}

SentenceEncoder::SentenceEncoder(const EncoderConfig& config, const SentenceOptions& options, Generator& rng)
    : options_(options), encoder_(config, rng, false) {}

void SentenceEncoder::visit(Visitor& visitor) { visitor.module("bert", encoder_); }

Tensor SentenceEncoder::forward(const RaggedBatch& batch, Generator* rng) const {
  Tensor embeddings;
  if (options_.pooling == SentencePooling::cls) {
    embeddings = encoder_.forward_firsts(batch, rng);
  } else {
    embeddings = embedding_bag(encoder_.forward(batch, rng), Tensor::arange(batch.tokens()), batch.firsts);
  }
  if (!options_.normalize) return embeddings;
  return embeddings / clamp(sqrt(sum(embeddings * embeddings, {1}, true)), kLeastNorm);
}

}  // namespace qing::nn
