// Sentence embeddings: one vector per text, pooled from an encoder's hidden states (Reimers & Gurevych 2019), as the
// package sentence-transformers saves such models.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include <qing/nn/models/text_classifier.h>
#include <qing/tensor/dtype.h>

namespace qing::nn {

/// Divides the vector by its length, or by 1e-12 if it is shorter (torch.nn.functional.normalize).
void normalize_embedding(std::span<float> vector);
/// The cosine of the angle between two vectors of one size; 0 if either has no length.
double cosine_similarity(std::span<const float> a, std::span<const float> b);

/// Whether the folder holds a model of sentence embeddings: it has a modules.json, or the architecture in its
/// config.json is an encoder without a head ("BertModel").
bool holds_sentence_embedding(const std::filesystem::path& directory);
/// Reads such a folder: the encoder of any EncoderFamily with the pooling that load_sentence_encoder() reads, the
/// tokenizer's files, and, if there, max_seq_length and do_lower_case of sentence_bert_config.json and the default
/// prompt of config_sentence_transformers.json, which stands in front of every text. Its predictions have
/// Prediction::embedding, which is not normalized. `precision` as in TextClassifier::load. IoError; DataError naming
/// the file and what is not supported.
std::shared_ptr<const TextClassifier> load_sentence_embedding(const std::filesystem::path& directory,
                                                              DType precision = DType::f32);
/// load_sentence_embedding() or TextClassifier::load(), whichever the folder is for.
std::shared_ptr<const TextClassifier> load_text_model(const std::filesystem::path& directory,
                                                      DType precision = DType::f32);

}  // namespace qing::nn
