// BERT's encoder (Devlin et al. 2019) with a classification head, over ragged batches. Parameter names are those of
// Hugging Face's BertForSequenceClassification.
#pragma once

#include <memory>
#include <vector>

#include <qing/nn/layers/layers.h>
#include <qing/nn/models/bert_config.h>
#include <qing/nn/module.h>
#include <qing/nn/ragged_batch.h>

namespace qing::nn {

class BertEncoder;

/// Learns and predicts one label a sequence. forward is const: in evaluation mode it may be called from many threads.
class BertForSequenceClassification : public Module {
 public:
  /// ValueError from BertConfig::validate. Weights normal(0, initializer_range).
  BertForSequenceClassification(const BertConfig& config, Generator& rng);
  ~BertForSequenceClassification() override;
  void visit(Visitor& visitor) override;

  /// Logits [sequences, labels]. Ids and positions must lie in the tables (IndexError). In training mode `rng` feeds
  /// the dropouts (ValueError if null and a dropout is not 0); each part's own mode decides. The logits of a sequence
  /// depend on it alone, to the bit.
  Tensor forward(const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// The two halves of forward(), for who puts other vectors in place of the words' embeddings: rows [n, hidden_size]
  /// of the table for ids [n], and logits from vectors [tokens, hidden_size], to which positions are still added.
  Tensor word_embeddings(const Tensor& ids) const;
  Tensor forward_words(const Tensor& words, const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// Hidden states [tokens, hidden_size] after the last layer.
  Tensor hidden_states(const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// Whether backward computes every encoder layer a second time instead of keeping what is inside (checkpoint()): the
  /// same gradients for less memory and more time. Off at first. Not while others use the model.
  void checkpoint_layers(bool on);
  const BertConfig& config() const { return config_; }

 private:
  BertConfig config_;
  std::unique_ptr<BertEncoder> bert_;
  Dropout dropout_;
  Linear classifier_;
};

}  // namespace qing::nn
