// The configuration of a BERT-architecture classifier, in Hugging Face's config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/models/data_profile.h>

namespace qing::nn {

struct BertConfig {
  int64_t vocab_size = 16000;
  int64_t hidden_size = 128;
  int64_t num_hidden_layers = 2;
  int64_t num_attention_heads = 4;
  int64_t intermediate_size = 512;
  int64_t max_position_embeddings = 128;
  int64_t type_vocab_size = 2;
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;
  int64_t pad_token_id = 0;
  std::vector<std::string> labels = {"negative", "neutral", "positive"};
  /// Scores are the softmax of the logits divided by this (nn/calibration.h). `transformers` does not know it.
  double calibration_temperature = 1;
  /// ngrams.safetensors adds to the logits (nn/models/ngram_head.h). Such a model is saved with the model_type
  /// "qing_bert_ngrams", which `transformers` refuses: it would leave the n-grams out.
  bool ngram_head = false;
  /// The predictions of the model on its reference texts. `transformers` does not know it.
  std::optional<DataProfile> reference = {};

  /// ValueError with the field, unless sizes and the temperature are positive, the heads divide the width,
  /// probabilities are in [0, 1), there are at least 2 labels with names that check_label_names() accepts, and the
  /// reference has one count for each label.
  void validate() const;
  /// DataError "path: field: what" when the file is not JSON, repeats a name in one object, lacks a field, or describes
  /// a model that qing does not support, when the ids of id2label are not 0, 1, 2, ..., or when label2id contradicts
  /// it. Accepts the model_type "bert", with an n-gram head if ngram_head is true, and "qing_bert_ngrams". Without
  /// id2label the labels are LABEL_0, LABEL_1, ..., num_labels of them (2 by default).
  static BertConfig load(const std::filesystem::path& path);
  void save(const std::filesystem::path& path) const;  ///< IoError
};

}  // namespace qing::nn
