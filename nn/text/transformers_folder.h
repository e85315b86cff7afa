// A folder of a tokenizer as `transformers` 5.23 reads it: tokenizer.json or vocab.txt, tokenizer_config.json,
// special_tokens_map.json, added_tokens.json, SentencePiece's files. The classes of BERT, MPNet, RoBERTa, XLM-R, ALBERT
// and translation models take the vocabulary alone from tokenizer.json and build all stages anew from their settings;
// any other class takes tokenizer.json as it is.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <qing/nn/text/folder_files.h>
#include <qing/nn/text/language_tokens.h>
#include <qing/nn/text/pipeline/pipeline.h>
#include <qing/nn/text/tokenizer_options.h>
#include <qing/nn/text/tokenizer_settings.h>

namespace qing::nn::text {

struct LoadedFolder {
  PipelineParts parts;
  /// What each name stands for; nothing for a name that the folder leaves out.
  std::array<std::optional<std::string>, kTokenNames.size()> names;
  std::optional<int32_t> max_length;  ///< of tokenizer_config.json, or of a file that is read alone
  std::optional<int32_t> file_limit;  ///< of tokenizer.json, which `transformers` does not use
  TokenizerOptions options;           ///< of BERT's normalizer, if it has that
  LanguageTokens languages;           ///< of translation models
  bool plain_bert = false;  ///< BERT's class with its usual special tokens, no other added tokens and no other stages
};

/// `lowercase` as in Tokenizer::load. IoError, DataError naming the file and the place.
LoadedFolder load_folder(const FolderFiles& files, bool lowercase = false);
/// tokenizer.json alone, as `tokenizers` reads it, or a SentencePiece model file (".model", ".spm").
LoadedFolder load_tokenizer_file(const std::filesystem::path& file, std::string text);

}  // namespace qing::nn::text
