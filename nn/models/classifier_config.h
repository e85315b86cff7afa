// The configuration of a text classifier, in Hugging Face's config.json: the encoder's and what a classifier adds.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/models/data_profile.h>
#include <qing/nn/models/encoder_config.h>
#include <qing/nn/problem.h>

namespace qing::nn {

class ConfigReader;

struct ClassifierConfig {
  EncoderConfig encoder = {};
  Problem problem = Problem::single_label;
  /// The name of what is measured for a regression, whose model has one output.
  std::vector<std::string> labels = {"negative", "neutral", "positive"};
  /// Of a multi-label classifier: the least score of a label that is predicted, one each; empty: 0.5. `transformers`
  /// does not know them.
  std::vector<double> thresholds = {};
  /// Scores are the softmax of the logits divided by it (nn/calibration.h); `transformers` does not know it.
  double calibration_temperature = 1;
  /// ngrams.safetensors adds to the logits (nn/models/ngram_head.h). Such a model is saved with the model_type
  /// "qing_bert_ngrams", which `transformers` refuses: it would leave the n-grams out.
  bool ngram_head = false;
  /// What the model predicted on the texts it was made for; `transformers` does not know it.
  std::optional<DataProfile> reference = {};

  /// ValueError naming the field, unless the encoder's configuration is valid, the temperature is finite and positive,
  /// there are at least 2 labels (1 for a multi-label classifier, and exactly 1 for a regression) with names as
  /// check_label_names() wants them, there are as many thresholds in (0, 1) or none, and the reference has counts of
  /// the labels.
  void validate() const;
  /// DataError "path: field: what" when the file is not JSON, has a name twice in one object, lacks a field, or
  /// describes what qing does not compute, when the ids of id2label are not 0, 1, 2, ..., or label2id contradicts it.
  /// IoError when it cannot be read.
  static ClassifierConfig load(const std::filesystem::path& path);
  /// The same for a file whose head is to be replaced: labels are left empty where the head is none of qing's, because
  /// it has fewer than two labels, names that qing refuses, or a problem_type that qing does not know.
  static ClassifierConfig load_for_fine_tuning(const std::filesystem::path& path);
  /// The same as load() for a model that labels tokens: its task is "tagging", or the file names none.
  static ClassifierConfig load_for_tokens(const std::filesystem::path& path);
  /// In a form that `transformers` loads as the family's ...ForSequenceClassification. IoError.
  void save(const std::filesystem::path& path) const;
  /// In a form that `transformers` loads as the family's ...ForTokenClassification. Only the encoder and the labels
  /// count. IoError.
  void save_for_tokens(const std::filesystem::path& path) const;

 private:
  static ClassifierConfig read(const ConfigReader& reader);
};

}  // namespace qing::nn
