// BERT's tokenizer: cleanup, Chinese characters apart, optional lower case with accents stripped, split on white space
// and punctuation, WordPiece by longest match first (Devlin et al. 2019; Schuster & Nakajima 2012). Ids equal those of
// the Hugging Face `tokenizers` BertNormalizer + BertPreTokenizer + WordPiece pipeline.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <qing/nn/text/tokenizer_options.h>

namespace qing::nn {

struct Encoding {
  std::vector<int32_t> ids;  ///< [CLS] ... [SEP]
  /// Byte range [begin, end) in the original UTF-8 text of every id; (0, 0) for special tokens.
  std::vector<std::pair<uint32_t, uint32_t>> offsets;
  bool truncated = false;
};

/// A word with more characters becomes a single [UNK]. This is BERT's limit.
inline constexpr size_t kMaxWordCharacters = 100;

/// The special tokens, in the order in which a trained vocabulary begins.
inline constexpr std::string_view kSpecialTokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

/// Immutable once built; all members are thread-safe.
class Tokenizer {
 public:
  /// Vocabulary in id order; must hold [PAD] [UNK] [CLS] [SEP] [MASK] (ValueError names the entry that is missing,
  /// duplicate or has a line break inside).
  explicit Tokenizer(std::vector<std::string> vocabulary, TokenizerOptions options = {});
  // Moving keeps the strings in place. A copy's views would point into the original.
  Tokenizer(Tokenizer&&) = default;
  Tokenizer& operator=(Tokenizer&&) = default;
  /// Reads a model directory: vocab.txt or, without one, tokenizer.json, which must describe BERT's tokenizer; and
  /// tokenizer_config.json (if there), whose settings override those of tokenizer.json. `max_length` applies when
  /// tokenizer_config.json sets no limit; `most` bounds either. IoError, DataError naming the file and the field.
  static Tokenizer load(const std::filesystem::path& directory, int32_t max_length = kDefaultMaxLength,
                        int32_t most = std::numeric_limits<int32_t>::max());
  /// Writes vocab.txt, tokenizer.json and tokenizer_config.json so that `tokenizers` and `transformers` load them.
  void save(const std::filesystem::path& directory) const;
  /// The content of tokenizer.json.
  std::string pipeline_json() const;

  /// A special token spelled out in the text becomes that token, as in `tokenizers`. Texts of more than max_length
  /// tokens are cut at the end. DataError at the first byte that is not UTF-8 (strict: no overlongs, no surrogates).
  /// Time linear in the text's length.
  Encoding encode(std::string_view text) const;
  int32_t vocab_size() const;
  const std::string& token(int32_t id) const;  ///< IndexError
  int32_t id(std::string_view token) const;    ///< [UNK]'s id for an unknown token
  int32_t pad_id() const { return special_[0]; }
  int32_t unk_id() const { return special_[1]; }
  int32_t cls_id() const { return special_[2]; }
  int32_t sep_id() const { return special_[3]; }
  int32_t mask_id() const { return special_[4]; }
  const TokenizerOptions& options() const { return options_; }

 private:
  void encode_segment(std::string_view text, uint32_t base, Encoding& encoding) const;

  std::vector<std::string> vocabulary_;
  // Views of vocabulary_; without "##" in the second.
  std::unordered_map<std::string_view, int32_t> whole_, continuing_;
  size_t longest_ = 0;       // bytes of the longest piece, without "##"
  int32_t special_[5] = {};  // ids, in the order of kSpecialTokens
  TokenizerOptions options_;
};

/// Trains a WordPiece vocabulary of at most `size` entries (special tokens first) by merging the most frequent adjacent
/// pair of pieces, over words as the tokenizer splits them. Deterministic: ties break by the lexicographically smaller
/// pair. Characters seen fewer than `min_frequency` times become [UNK].
std::vector<std::string> train_wordpiece(std::span<const std::string> texts, int32_t size,
                                         TokenizerOptions options = {}, int64_t min_frequency = 2);

}  // namespace qing::nn
