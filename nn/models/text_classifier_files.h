// The model directory that `transformers` loads: config.json, model.safetensors, and the tokenizer's files.
#pragma once

#include <filesystem>

#include <qing/nn/models/bert.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

/// Writes all files of the directory, created if absent. On failure (IoError, for example a full disk) what was there
/// before is untouched; see StagedDirectory::commit for a process killed while the files change places.
void save_text_classifier(const std::filesystem::path& directory, BertForSequenceClassification& model,
                          const Tokenizer& tokenizer);

}  // namespace qing::nn
