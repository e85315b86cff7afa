// Inference with a trained model directory: tokenizer, encoder with classification head, labels.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/data_profile.h>
#include <qing/nn/models/prediction.h>
#include <qing/nn/models/task_model.h>
#include <qing/nn/problem.h>
#include <qing/nn/text/ngrams.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/dtype.h>

namespace qing::nn {

/// The input of a classifier for one text.
struct EncodedText : Encoding {
  NgramFeatures ngrams = {};  ///< for a model with an NgramHead
};

/// What a model of sentence embeddings gives.
struct EmbeddingInfo {
  int64_t size = 0;               ///< numbers of Prediction::embedding; 0: a classifier, which has none
  std::string_view pooling = {};  ///< "cls" or "mean"
  bool normalized = false;        ///< the model's modules end with the division by the length
};

/// A classifier or, if embeds(), a model of sentence embeddings: that has no labels, and its
/// predictions have Prediction::embedding. Immutable after load; predict() may be called from many threads.
class TextClassifier : public TaskModel {
 public:
  /// Reads config.json of a ...ForSequenceClassification of any EncoderFamily, its weights (what open_weights()
  /// reads), the tokenizer's files (Tokenizer::load), and, if the configuration says so, ngrams.safetensors. Texts are
  /// cut where the model's positions end, even if the tokenizer allows more. Linear layers predict in `precision`
  /// (Linear::pack): f32, or bf16 or i8 for more speed and scores that differ in the third digit; explanations stay in
  /// f32. IoError, DataError; ValueError for another precision.
  static std::shared_ptr<const TextClassifier> load(const std::filesystem::path& directory,
                                                    DType precision = DType::f32);

  /// kEmbedding if embeds(), else kClassification.
  std::string_view task() const final { return embeds() ? kEmbedding : kClassification; }
  /// The texts, and what is predicted of each: label, score, scores and logits, of a multi-label classifier also labels
  /// (a list in JSON), of ordered labels and numbers also value; none of a model of embeddings.
  std::vector<TensorDescription> inputs() const final;
  std::vector<TensorDescription> outputs() const final;
  /// Also the same kind of problem, and embeddings of the same size.
  bool can_replace(const TaskModel& other) const final;
  std::string answer_kind() const final;
  void try_out() const final;

  /// Returns one prediction per text, in order. The scores of a text do not depend on the rest of the batch, to the
  /// bit. DataError with the index of a text that is not UTF-8. An empty span gives an empty result.
  std::vector<Prediction> predict(std::span<const std::string> texts) const;
  /// The first half of predict(), for callers that compose batches by tokens. DataError on invalid UTF-8, and for a
  /// text without tokens when the tokenizer adds no special ones.
  virtual EncodedText encode(std::string_view text) const = 0;
  /// The second half of predict(), on the results of encode().
  virtual std::vector<Prediction> predict_encoded(std::span<const EncodedText> encodings) const = 0;
  /// Explains the label that predict() gives for each text, by integrated gradients in f32. It costs about 50 times as
  /// much as predict(). DataError for invalid UTF-8, ValueError unless explains().
  virtual std::vector<Explanation> explain(std::span<const std::string> texts) const;
  /// Whether this kind of classifier has explanations.
  virtual bool explains() const { return false; }
  /// Whether the n-grams of the whole text count, for texts of any length.
  virtual bool has_ngrams() const { return false; }
  virtual EmbeddingInfo embedding() const { return {}; }
  bool embeds() const { return embedding().size > 0; }  ///< whether predictions have embeddings instead of labels
  /// Null for a kind of model that does not show its tokenizer.
  virtual const Tokenizer* tokenizer() const { return nullptr; }
  /// Most ids encode() gives for a text.
  virtual int32_t max_length() const = 0;
  const std::vector<std::string>& labels() const override = 0;
  virtual Problem problem() const { return Problem::single_label; }
  /// Of a multi-label classifier: the least score of each label that Prediction::labels has. Otherwise empty.
  virtual std::span<const double> thresholds() const { return {}; }
  virtual double temperature() const { return 1; }
  /// Statistics of the predictions on the reference texts, to compare other texts with; null if they were not recorded.
  virtual const DataProfile* reference() const { return nullptr; }

 protected:
  /// The tokens of a text. DataError when there are none, since then no hidden state exists (the reference library
  /// fails there too).
  static EncodedText encode_text(const Tokenizer& tokenizer, std::string_view text);
  /// encode() of each, by all threads. Throws the exception of the first text that has one; DataError names the
  /// text's index.
  std::vector<EncodedText> encode_all(std::span<const std::string> texts) const;
};

}  // namespace qing::nn
