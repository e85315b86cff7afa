// The model directory in the form that `transformers` loads: config.json, model.safetensors and the tokenizer's files.
// A model with an n-gram head also has ngrams.safetensors.
#pragma once

#include <filesystem>

#include <qing/nn/models/bert.h>
#include <qing/nn/models/ngram_head.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

/// Writes all files of the directory, which is created if absent. After a failure (IoError, for example a full disk)
/// the old files are unchanged. See StagedDirectory::commit for a process killed while the files are renamed.
void save_text_classifier(const std::filesystem::path& directory, BertForSequenceClassification& model,
                          const Tokenizer& tokenizer, NgramHead* ngrams = nullptr);

}  // namespace qing::nn
