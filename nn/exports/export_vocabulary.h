// The tokenizer as exported models need it. An n-gram head reads words, but other programs give a model only token ids.
// If the vocabulary can spell a word, the word follows from its ids. Otherwise qing's encoder reads [UNK], and the
// n-grams of the word would be lost. The exported tokenizer of a model with n-grams therefore spells such a word in
// pieces too. It has entries beyond the encoder's vocabulary for the missing forms of known characters and for "any
// other character". The exported model replaces the word with [UNK] before the encoder reads it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

/// What an exported model with n-grams knows about a token id.
enum PieceFlag : uint8_t {
  kPieceContinues = 1,  ///< "##x": continues a word
  kPieceExtra = 2,      ///< not in the encoder's vocabulary
};

/// In `bytes`: a byte that is never part of UTF-8, so no n-gram of the table contains it. It stands for a special token
/// or an unknown character.
inline constexpr uint8_t kNoCharacter = 0xFF;

struct ExportVocabulary {
  std::vector<std::string> tokens;  ///< in id order; first those of the model
  std::string other;                ///< the character that the tokenizer puts in place of an unknown one
  Tensor bytes;                     ///< u8 [tokens, longest]: the text of each piece without "##", then zeros
  Tensor flags;                     ///< u8 [tokens]: PieceFlag
};

/// The vocabulary with the entries that an n-gram head needs.
ExportVocabulary export_vocabulary(const Tokenizer& tokenizer);

/// tokenizer.json with the entries of `vocabulary`. It truncates nothing, because n-grams of the whole text count.
std::string ngram_tokenizer_json(const Tokenizer& tokenizer, const ExportVocabulary& vocabulary);

}  // namespace qing::nn
