// A model directory opened for export: all that an exported file says about the model.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/ngram_head.h>
#include <qing/nn/module.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

struct ExportSource {
  std::vector<std::string> labels;
  double temperature;  ///< scores are the softmax, or sigmoid, of logits / temperature
  EncoderConfig encoder_config;
  std::unique_ptr<EncoderForSequenceClassification> encoder;  ///< null for sentence embeddings
  std::unique_ptr<NgramHead> ngrams;                          ///< null for a model without n-grams
  Tokenizer tokenizer;
  StateDict tensors;  ///< of the encoder, under Hugging Face's names; contiguous, f32 unless the file has another dtype

  Problem problem = Problem::single_label;  ///< how logits become scores
  std::vector<double> thresholds = {};      ///< of a multi-label classifier, one a label: 0.5 if none were fitted
  std::optional<SentenceOptions> sentence = std::nullopt;  ///< of sentence embeddings, which have no labels

  const EncoderConfig& config() const { return encoder_config; }
  /// The encoder's tensor of that name; all names exist in a loaded model.
  const Tensor& tensor(const std::string& name) const { return tensors.at(name); }
};

/// How the scores of a classifier are decided, for formats whose metadata are texts: "problem", of several labels
/// "thresholds" and of ordered labels "places", both as JSON lists of numbers.
std::vector<std::pair<std::string, std::string>> problem_facts(const ExportSource& source);

/// Reads and checks a model directory as load_text_model() does, with the same errors.
ExportSource load_export_source(const std::filesystem::path& directory);

}  // namespace qing::nn
