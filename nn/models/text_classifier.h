// A trained model directory ready for inference: tokenizer, encoder with classification head, labels.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/data_profile.h>
#include <qing/nn/models/prediction.h>
#include <qing/nn/text/ngrams.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/dtype.h>

namespace qing::nn {

/// What a classifier looks at in a text.
struct EncodedText : Encoding {
  NgramFeatures ngrams = {};  ///< for a model with an NgramHead
};

/// Immutable after load; predict() may be called from many threads.
class TextClassifier {
 public:
  /// Reads config.json, the weights (open_weights.h: in shards, too), the tokenizer's files and, if the configuration
  /// says so, ngrams.safetensors.
  /// Linear layers predict in `precision` (Linear::pack): f32, or bf16 or i8 for more speed and scores that differ in
  /// the third digit; explanations stay in f32. IoError, DataError; ValueError for another precision.
  static std::shared_ptr<const TextClassifier> load(const std::filesystem::path& directory,
                                                    DType precision = DType::f32);
  virtual ~TextClassifier() = default;

  /// One prediction a text, in order. Scores of a text are bitwise the same whatever else is in the batch.
  /// DataError on invalid UTF-8, naming the text's index. An empty span gives an empty result.
  std::vector<Prediction> predict(std::span<const std::string> texts) const;
  /// The first half of predict(), for callers that compose batches by tokens. DataError on invalid UTF-8.
  virtual EncodedText encode(std::string_view text) const = 0;
  /// The other half, on what encode() made.
  virtual std::vector<Prediction> predict_encoded(std::span<const EncodedText> encodings) const = 0;
  /// An explanation for each text, of the label that predict() gives: integrated gradients, in f32. Costs some 50 times
  /// as much as predict(). DataError on invalid UTF-8; ValueError unless explains().
  virtual std::vector<Explanation> explain(std::span<const std::string> texts) const;
  /// Whether this kind of classifier has explanations.
  virtual bool explains() const { return false; }
  /// Whether n-grams of the whole text count, however long the text is.
  virtual bool has_ngrams() const { return false; }
  /// Most ids encode() gives for a text.
  virtual int32_t max_length() const = 0;
  virtual const std::vector<std::string>& labels() const = 0;
  virtual double temperature() const { return 1; }
  virtual DType precision() const { return DType::f32; }  ///< of products in predictions
  /// What it predicted on the texts it was made for, to compare other texts with; null when nobody wrote that down.
  virtual const DataProfile* reference() const { return nullptr; }

 protected:
  /// encode() of each; DataError names the text's index.
  std::vector<EncodedText> encode_all(std::span<const std::string> texts) const;
};

}  // namespace qing::nn
