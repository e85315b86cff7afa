// Sentence embeddings: one vector per text, pooled from an encoder's hidden states (Reimers & Gurevych 2019), as the
// package sentence-transformers saves such models.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include <qing/nn/models/text_classifier.h>
#include <qing/nn/ragged_batch.h>
#include <qing/tensor/dtype.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

enum class SentencePooling {
  kCls,   ///< the first token's hidden state
  kMean,  ///< the mean over all tokens, special ones included
};

/// f32 [sequences, width] from hidden states, f32 [tokens, width] and contiguous, of a ragged batch. Means are summed
/// in f64 in the order of the tokens, so that a row does not depend on the rest of the batch. Thread-safe.
Tensor pool_sentences(const Tensor& hidden, const Offsets& offsets, SentencePooling pooling);
/// Divides the vector by its length, or by 1e-12 if it is shorter (torch.nn.functional.normalize).
void normalize_embedding(std::span<float> vector);
/// The cosine of the angle between two vectors of one size; 0 if either has no length.
double cosine_similarity(std::span<const float> a, std::span<const float> b);

/// Whether the folder holds a model of sentence-transformers: it has a modules.json.
bool holds_sentence_embedding(const std::filesystem::path& directory);
/// Reads such a folder: modules.json with a Transformer, a Pooling (cls or mean) and perhaps a Normalize; config.json
/// of a BertModel; model.safetensors; the tokenizer's files; sentence_bert_config.json with max_seq_length, if there.
/// Its predictions have Prediction::embedding. `precision` as in TextClassifier::load. IoError; DataError naming the
/// file and what is not supported.
std::shared_ptr<const TextClassifier> load_sentence_embedding(const std::filesystem::path& directory,
                                                              DType precision = DType::f32);
/// load_sentence_embedding() or TextClassifier::load(), whichever the folder is for.
std::shared_ptr<const TextClassifier> load_text_model(const std::filesystem::path& directory,
                                                      DType precision = DType::f32);

}  // namespace qing::nn
