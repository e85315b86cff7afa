// The third stage of a tokenizer: from words to ids.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/text/pipeline/vocabulary.h>

namespace qing::nn::text {

/// A token and the bytes of its word that it stands for.
struct Token {
  int32_t id;
  uint32_t begin, end;
};

/// Immutable; thread-safe.
class TokenModel {
 public:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;
  /// Appends the tokens of a word, which is valid UTF-8 and not empty.
  virtual void tokenize(std::string_view word, std::vector<Token>& tokens) const = 0;
  /// Whether to cache the tokens of words: a lookup costs less than tokenizing.
  virtual bool keeps_words() const { return false; }
  /// The id of unknown text; -1 when the model has none.
  virtual int32_t unknown() const = 0;
  /// The text that `tokenizers` shows for a token that stands for `word`.
  virtual std::string_view shown(int32_t id, std::string_view) const { return vocabulary_.text(id); }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  /// The number of entries. Added tokens get the ids after them. Unigram counts equal pieces separately.
  virtual size_t size() const { return vocabulary_.size(); }

 protected:
  Vocabulary vocabulary_;
};

struct WordPieceOptions {
  std::string unknown = "[UNK]", continuing_prefix = "##";
  size_t most_characters = 100;  ///< a longer word is unknown
};
/// Longest match first (Schuster & Nakajima 2012). DataError without the unknown token.
std::unique_ptr<TokenModel> wordpiece_model(Vocabulary vocabulary, const WordPieceOptions& options);

/// Whole words only. DataError without the unknown token.
std::unique_ptr<TokenModel> word_level_model(Vocabulary vocabulary, const std::string& unknown);

struct BpeOptions {
  std::optional<std::string> unknown;
  std::string continuing_prefix, end_suffix;
  bool fuse_unknown = false, byte_fallback = false, ignore_merges = false;
};
/// Byte pair encoding (Sennrich et al. 2016): merges the pair that comes first in `merges`, from the left.
/// DataError when a merge's parts or result are not in the vocabulary, or the unknown token is not.
std::unique_ptr<TokenModel> bpe_model(Vocabulary vocabulary,
                                      const std::vector<std::pair<std::string, std::string>>& merges,
                                      const BpeOptions& options);

/// Unigram (Kudo 2018): the path with the highest sum of scores. The index in `pieces` is the id. The last of equal
/// pieces counts. DataError if `unknown` is not the id of a piece.
std::unique_ptr<TokenModel> unigram_model(const std::vector<std::pair<std::string, double>>& pieces, int32_t unknown,
                                          bool byte_fallback);

/// "<0x41>" for 0x41.
std::string byte_token(unsigned char byte);
/// 0x41 for "<0x41>"; nothing for any other text, as SentencePiece reads it.
std::optional<unsigned char> byte_of_token(std::string_view token);

}  // namespace qing::nn::text
