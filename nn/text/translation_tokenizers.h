// The tokenizers of translation models in a folder of `transformers` 5.23: MarianTokenizer and M2M100Tokenizer, which
// split with SentencePiece and number the pieces by vocab.json; MBart50Tokenizer, MBartTokenizer, NllbTokenizer and
// T5Tokenizer, which take the pieces from tokenizer.json or from SentencePiece's file and split with stages of
// `tokenizers`.
#pragma once

#include <qing/nn/text/folder_files.h>
#include <qing/nn/text/language_tokens.h>
#include <qing/nn/text/pipeline/pipeline.h>
#include <qing/nn/text/tokenizer_settings.h>

namespace qing::nn::text {

struct TranslationTokenizer {
  PipelineParts parts;  ///< with the languages' tokens among the added ones; without post-processing
  LanguageTokens languages;
};

/// `tokenizer` is the folder's tokenizer.json, null without one. IoError, DataError naming the file and the place.
TranslationTokenizer translation_tokenizer(const FolderFiles& files, const TokenizerSettings& settings,
                                           const JsonFile* tokenizer);

/// A SentencePiece model file alone, as SentencePieceProcessor reads it.
PipelineParts sentencepiece_parts(const std::filesystem::path& path, std::string_view bytes);

/// The character map of a tokenizer.json's normalizer; null without one.
std::unique_ptr<Normalizer> charsmap_of(const JsonCursor& file);

}  // namespace qing::nn::text
