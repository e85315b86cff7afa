// A saved classifier as a module that is trained further in a loop of one's own. finetune() of
// <qing/optim/classifier/finetune.h> has such a loop.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/models/text_classifier_files.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// The encoder and, if the model has one, the n-gram head, with their tokenizer:
///
///   auto model = nn::TrainableClassifier::load("model");
///   optim::AdamW adamw(model->parameters(), {.lr = 5e-5});
///   const Tensor loss = cross_entropy((*model)(texts, &rng), labels);
///
/// Concurrent forward passes are safe in evaluation mode.
class TrainableClassifier : public Module {
 public:
  /// Reads a directory as TextClassifier::load does, with the same errors. The model is in training mode, and its
  /// parameters are leaves that require gradients. Training changes memory, not the files.
  static std::unique_ptr<TrainableClassifier> load(const std::filesystem::path& directory);
  void visit(Visitor& visitor) override;

  /// Logits [texts, labels], for the loss of problem(): cross_entropy() of single labels, and
  /// binary_cross_entropy_with_logits() of several. In training mode `rng` feeds the dropouts (ValueError if null and a
  /// dropout is not 0). DataError with the index of a text that is not UTF-8 or has no tokens. ValueError without
  /// texts.
  Tensor forward(std::span<const std::string> texts, Generator* rng = nullptr) const;
  Tensor operator()(std::span<const std::string> texts, Generator* rng = nullptr) const { return forward(texts, rng); }
  /// Writes a directory that load() and TextClassifier::load read. The calibration and the statistics of the model that
  /// was read do not hold for new weights and are left out. Errors of save_text_classifier().
  void save(const std::filesystem::path& directory);

  const std::vector<std::string>& labels() const { return model_->config().labels; }
  Problem problem() const { return model_->config().problem; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  EncoderForSequenceClassification& encoder() { return *model_; }
  NgramHead* ngrams() { return ngrams_.get(); }  ///< Null for a model without n-grams.

 private:
  explicit TrainableClassifier(ClassifierParts parts);

  std::unique_ptr<EncoderForSequenceClassification> model_;
  std::unique_ptr<NgramHead> ngrams_;
  Tokenizer tokenizer_;
};

}  // namespace qing::nn
