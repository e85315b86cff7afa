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

/// Learns and predicts one label per sequence. forward is const: in evaluation mode it may be called from many threads.
class BertForSequenceClassification : public Module {
 public:
  /// ValueError from BertConfig::validate. Weights normal(0, initializer_range).
  BertForSequenceClassification(const BertConfig& config, Generator& rng);
  ~BertForSequenceClassification() override;
  void visit(Visitor& visitor) override;

  /// Returns logits [sequences, labels]. Ids and positions must be in the range of the tables (IndexError). In training
  /// mode the dropouts draw from `rng` (ValueError if it is null and a dropout is not 0). Each part follows its own
  /// mode. The logits of a sequence depend only on the sequence, to the bit.
  Tensor forward(const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// The two halves of forward(), for callers that replace the word embeddings: rows [n, hidden_size] of the table for
  /// ids [n], and logits from vectors [tokens, hidden_size], to which positions are still added.
  Tensor word_embeddings(const Tensor& ids) const;
  Tensor forward_words(const Tensor& words, const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// Hidden states [tokens, hidden_size] after the last layer.
  Tensor hidden_states(const RaggedBatch& batch, Generator* rng = nullptr) const;
  const BertConfig& config() const { return config_; }

 private:
  BertConfig config_;
  std::unique_ptr<BertEncoder> bert_;
  Dropout dropout_;
  Linear classifier_;
};

}  // namespace qing::nn
