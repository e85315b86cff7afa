#include <qing/nn/models/trainable_classifier.h>

#include <fmt/format.h>

#include <utility>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/nn/ragged_batch.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

// The calibration and the statistics of the saved weights do not hold for others.
TrainableClassifier::TrainableClassifier(ClassifierParts parts)
    : ngrams_(std::move(parts.ngrams)), tokenizer_(std::move(parts.tokenizer)) {
  ClassifierConfig config = parts.model->config();
  config.calibration_temperature = 1;
  config.reference.reset();
  config.thresholds.clear();
  Generator unused;
  model_ = std::make_unique<EncoderForSequenceClassification>(config, unused);
  model_->adopt_state_dict(parts.model->state_dict());
}

std::unique_ptr<TrainableClassifier> TrainableClassifier::load(const std::filesystem::path& directory) {
  std::unique_ptr<TrainableClassifier> loaded(new TrainableClassifier(load_classifier_parts(directory)));
  loaded->set_requires_grad(true);
  loaded->train();
  return loaded;
}

void TrainableClassifier::visit(Visitor& visitor) {
  visitor.module("bert", *model_);
  if (ngrams_) visitor.module("ngrams", *ngrams_);
}

Tensor TrainableClassifier::forward(std::span<const std::string> texts, Generator* rng) const {
  if (texts.empty()) throw ValueError("TrainableClassifier: there are no texts");
  std::vector<Encoding> encodings;
  for (size_t i = 0; i < texts.size(); ++i) {
    try {
      encodings.push_back(tokenizer_.encode(texts[i]));
    } catch (const DataError& error) { throw DataError(fmt::format("text {}: {}", i, error.what())); }
    if (encodings.back().ids.empty()) throw DataError(fmt::format("text {}: it has no tokens; leave it out", i));
  }
  std::vector<std::span<const int32_t>> sequences;
  sequences.reserve(encodings.size());
  for (const Encoding& encoding : encodings) sequences.emplace_back(encoding.ids);
  Tensor logits = model_->forward(RaggedBatch::of(sequences), rng);
  if (!ngrams_) return logits;
  std::vector<NgramFeatures> features;
  std::vector<const NgramFeatures*> found;
  features.reserve(texts.size());
  found.reserve(texts.size());
  for (const std::string& text : texts) features.push_back(ngrams_->table().features(text));
  for (const NgramFeatures& one : features) found.push_back(&one);
  return logits + ngrams_->forward(found);
}

void TrainableClassifier::save(const std::filesystem::path& directory) {
  save_text_classifier(directory, *model_, tokenizer_, ngrams_.get());
}

}  // namespace qing::nn
