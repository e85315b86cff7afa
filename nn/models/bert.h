// BERT's encoder (Devlin et al. 2019) with a classification head, over ragged batches. Parameter names are those of
// Hugging Face's BertForSequenceClassification.
#pragma once

#include <memory>
#include <vector>

#include <qing/nn/layers/layers.h>
#include <qing/nn/models/classifier_config.h>
#include <qing/nn/module.h>
#include <qing/nn/ragged_batch.h>

namespace qing::nn {

class BertEncoder;

/// Learns and predicts one label for each sequence. forward is const: in evaluation mode it may be called from many
/// threads.
class BertForSequenceClassification : public Module {
 public:
  /// ValueError from ClassifierConfig::validate. Weights normal(0, initializer_range).
  BertForSequenceClassification(const ClassifierConfig& config, Generator& rng);
  ~BertForSequenceClassification() override;
  void visit(Visitor& visitor) override;

  /// Logits [sequences, labels]. Ids and positions must lie in the tables (IndexError). In training mode `rng` feeds
  /// the dropouts (ValueError if null and a dropout is not 0); each part's own mode decides. The logits of a sequence
  /// depend on it alone, to the bit.
  Tensor forward(const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// Rows [n, hidden_size] of the table of word embeddings for ids [n]. IndexError.
  Tensor word_embeddings(const Tensor& ids) const;
  /// Logits from vectors [tokens, hidden_size] in the place of the word embeddings; positions are still added. Errors
  /// as forward().
  Tensor forward_embeddings(const Tensor& embeddings, const RaggedBatch& batch, Generator* rng = nullptr) const;
  /// Hidden states [tokens, hidden_size] after the last layer.
  Tensor hidden_states(const RaggedBatch& batch, Generator* rng = nullptr) const;
  const ClassifierConfig& config() const { return config_; }

 private:
  ClassifierConfig config_;
  std::unique_ptr<BertEncoder> bert_;
  Dropout dropout_;
  Linear classifier_;
};

}  // namespace qing::nn
