// The parts of a sentence-transformers directory. Private to nn/.
#pragma once

#include <filesystem>

#include <qing/nn/models/encoder_heads.h>

namespace qing::nn {

struct SentenceModules {
  std::filesystem::path encoder;  ///< the directory of config.json and the weights
  SentenceOptions options = {};
  std::filesystem::path pooling = {};  ///< the pooling's config.json; empty without modules.json
};

/// Reads modules.json and the pooling's config.json. Without modules.json: the directory itself, with the mean.
/// DataError naming the file when one is damaged, leads out of the directory, or asks for a module or a pooling that
/// qing does not compute; IoError.
SentenceModules read_sentence_modules(const std::filesystem::path& directory);

}  // namespace qing::nn
