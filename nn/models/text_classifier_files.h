// The model directory in the form that `transformers` loads: config.json, model.safetensors and the tokenizer's files.
// A model with an n-gram head also has ngrams.safetensors.
#pragma once

#include <filesystem>
#include <memory>

#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/ngram_head.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

struct ClassifierParts {
  std::unique_ptr<EncoderForSequenceClassification> model;  ///< has the configuration
  std::unique_ptr<NgramHead> ngrams;                        ///< null for a model without n-grams
  Tokenizer tokenizer;
};
/// Reads a directory as TextClassifier::load does, with the same errors.
ClassifierParts load_classifier_parts(const std::filesystem::path& directory);

/// Writes all files of the directory, created if absent, in the form of the encoder's family. ValueError for n-grams
/// beside another family than BERT. On failure (IoError, for example a full disk) what was there
/// before is untouched; see StagedDirectory::commit for a process killed while the files change places.
void save_text_classifier(const std::filesystem::path& directory, EncoderForSequenceClassification& model,
                          const Tokenizer& tokenizer, NgramHead* ngrams = nullptr);

}  // namespace qing::nn
