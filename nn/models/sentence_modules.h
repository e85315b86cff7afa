// The parts of a sentence-transformers directory. Private to nn/.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

struct SentenceModules {
  std::filesystem::path encoder;  ///< the directory of config.json and the weights
  SentenceOptions options = {};
  std::filesystem::path pooling = {};  ///< the pooling's config.json; empty without modules.json
  std::string prompt = {};             ///< stands in front of every text
};

/// Reads modules.json, the pooling's config.json and config_sentence_transformers.json, whose default_prompt_name names
/// the prompt. Without modules.json: the directory itself, with the mean and without a prompt.
/// DataError naming the file when one is damaged, leads out of the directory, or asks for a module, a pooling or cut
/// vectors (truncate_dim), which qing does not compute; IoError.
SentenceModules read_sentence_modules(const std::filesystem::path& directory);

struct SentenceParts {
  SentenceModules modules;
  EncoderConfig config;
  std::unique_ptr<SentenceEncoder> model;  ///< pools, and never normalizes
  Tokenizer tokenizer;
};
/// Reads a directory as load_sentence_embedding() does, with the same errors.
SentenceParts load_sentence_parts(const std::filesystem::path& directory);

}  // namespace qing::nn
