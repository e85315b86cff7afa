// Encoders with a head: classifiers of sequences and of tokens, scores of masked tokens, embeddings of sentences.
// Parameter names are those of Hugging Face's BertFor... classes for every family. Errors, training mode and threads
// are Encoder's.
#pragma once

#include <optional>

#include <qing/nn/layers/dropout_layer.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/norm.h>
#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/encoder.h>
#include <qing/nn/models/module_group.h>
#include <qing/nn/module.h>
#include <qing/nn/ragged_batch.h>

namespace qing::nn {

/// Learns and predicts one label for each sequence. The head is the family's: an activated linear layer over the first
/// token's hidden state, then a linear layer to the logits.
class EncoderForSequenceClassification : public Module {
 public:
  /// ValueError from ClassifierConfig::validate. Weights normal(0, initializer_range).
  EncoderForSequenceClassification(const ClassifierConfig& config, Generator& rng);
  void visit(Visitor& visitor) override;

  /// Logits [sequences, labels].
  Tensor forward(const RaggedBatch& batch, Generator* rng = nullptr) const;
  Tensor operator()(const RaggedBatch& batch, Generator* rng = nullptr) const { return forward(batch, rng); }
  /// Rows [n, embedding_width] of the table of word embeddings for ids [n]. IndexError.
  Tensor word_embeddings(const Tensor& ids) const;
  /// Logits from vectors [tokens, embedding_width] in the place of the word embeddings; positions are still added.
  Tensor forward_embeddings(const Tensor& embeddings, const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// Hidden states [tokens, hidden_size] after the last layer.
  Tensor hidden_states(const RaggedBatch& batch, Generator* rng = nullptr) const;
  void checkpoint_layers(bool on) { encoder_.checkpoint_layers(on); }  ///< see Encoder
  const ClassifierConfig& config() const { return config_; }

 private:
  Tensor logits(const Tensor& firsts, Generator* rng) const;

  ClassifierConfig config_;
  Encoder encoder_;
  Dropout dropout_;
  Linear classifier_;
};

/// Predicts one label for each token.
class EncoderForTokenClassification : public Module {
 public:
  /// ValueError from ClassifierConfig::validate. Weights normal(0, initializer_range).
  EncoderForTokenClassification(const ClassifierConfig& config, Generator& rng);
  void visit(Visitor& visitor) override;
  /// Logits [tokens, labels].
  Tensor forward(const RaggedBatch& batch, Generator* rng = nullptr) const;
  Tensor operator()(const RaggedBatch& batch, Generator* rng = nullptr) const { return forward(batch, rng); }
  /// Those of some tokens, whose rows are given in i32 [n]: [n, labels].
  Tensor forward_at(const RaggedBatch& batch, const Tensor& rows, Generator* rng = nullptr) const;
  void checkpoint_layers(bool on) { encoder_.checkpoint_layers(on); }  ///< see Encoder
  const ClassifierConfig& config() const { return config_; }

 private:
  ClassifierConfig config_;
  Encoder encoder_;
  Dropout dropout_;
  Linear classifier_;
};

/// Scores every entry of the vocabulary for each token. With tie_word_embeddings the last product is by the table of
/// word embeddings.
class EncoderForMaskedLM : public Module {
 public:
  /// ValueError from EncoderConfig::validate. Weights normal(0, initializer_range).
  EncoderForMaskedLM(const EncoderConfig& config, Generator& rng);
  void visit(Visitor& visitor) override;
  /// Scores [tokens, vocab_size].
  Tensor forward(const RaggedBatch& batch, Generator* rng = nullptr) const;
  Tensor operator()(const RaggedBatch& batch, Generator* rng = nullptr) const { return forward(batch, rng); }
  /// Those of some tokens, whose rows are given in i32 [n]: [n, vocab_size].
  Tensor forward_at(const RaggedBatch& batch, const Tensor& rows, Generator* rng = nullptr) const;
  void checkpoint_layers(bool on) { encoder_.checkpoint_layers(on); }  ///< see Encoder
  const EncoderConfig& config() const { return encoder_.config(); }

 private:
  class Predictions : public Module {
   public:
    Predictions(const EncoderConfig& config, Generator& rng);
    void visit(Visitor& visitor) override;
    Tensor forward(const Tensor& hidden, const Tensor& words) const;

   private:
    FeedForwardActivation activation_;
    Linear dense_;
    LayerNorm norm_;
    Tensor decoder_, bias_;  // decoder_ [vocab_size, embedding_width]: undefined when tied
    ModuleGroup transform_{{{"dense", &dense_}, {"LayerNorm", &norm_}}};
  };
  Encoder encoder_;
  Predictions predictions_;
  ModuleGroup cls_{{{"predictions", &predictions_}}};
};

enum class SentencePooling { cls, mean };
struct SentenceOptions {
  SentencePooling pooling = SentencePooling::mean;  ///< of the hidden states: the first token's, or the mean of all
  bool normalize = false;                           ///< divides each embedding by its Euclidean norm
};

/// An embedding for each sequence (Reimers & Gurevych 2019).
class SentenceEncoder : public Module {
 public:
  /// ValueError from EncoderConfig::validate. Weights normal(0, initializer_range).
  SentenceEncoder(const EncoderConfig& config, const SentenceOptions& options, Generator& rng);
  void visit(Visitor& visitor) override;
  /// Embeddings [sequences, hidden_size].
  Tensor forward(const RaggedBatch& batch, Generator* rng = nullptr) const;
  Tensor operator()(const RaggedBatch& batch, Generator* rng = nullptr) const { return forward(batch, rng); }
  const EncoderConfig& config() const { return encoder_.config(); }
  const SentenceOptions& options() const { return options_; }

 private:
  SentenceOptions options_;
  Encoder encoder_;
};

}  // namespace qing::nn
