// Tokenizers of encoders: BERT, DistilBERT, ELECTRA, MiniLM, MPNet, RoBERTa, XLM-R, ALBERT. Ids and offsets equal those
// of `tokenizers` 0.23, and folders are read as `transformers` 5.23 reads them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/text/pipeline/encoding.h>
#include <qing/nn/text/tokenizer_options.h>

namespace qing::nn {

namespace text {
class FolderFiles;
class Pipeline;
struct LoadedFolder;
}  // namespace text

struct PrunedTokenizer;

/// A word with more characters becomes a single [UNK]. This is BERT's limit.
inline constexpr size_t kMaxWordCharacters = 100;

/// Immutable once built; all members are thread-safe.
class Tokenizer {
 public:
  /// BERT's: cleanup, Chinese characters apart, optional lower case with accents stripped, split on white space and
  /// punctuation, WordPiece by longest match first (Devlin et al. 2019; Schuster & Nakajima 2012). Vocabulary in id
  /// order; must hold [PAD] [UNK] [CLS] [SEP] [MASK] (ValueError names the entry that is missing, duplicate or has a
  /// line break inside).
  explicit Tokenizer(const std::vector<std::string>& vocabulary, TokenizerOptions options = {});
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Reads a folder as AutoTokenizer of `transformers` does: tokenizer.json or, without one, vocab.txt, with the
  /// settings of tokenizer_config.json, special_tokens_map.json and added_tokens.json. `room` is the number of tokens
  /// that the model takes: a larger limit of the files is lowered to it, and it is the limit where they set none.
  /// Without both the limit of tokenizer.json applies, or kDefaultMaxLength. IoError, DataError naming the file and the
  /// place; a setting that is not supported is refused by name.
  /// With `lowercase` texts are first lower-cased, unless the tokenizer has such a stage, as sentence-transformers does
  /// for do_lower_case.
  static Tokenizer load(const std::filesystem::path& directory, std::optional<int32_t> room = {},
                        bool lowercase = false);
  /// The tokenizer of a folder with tokenizer.json and tokenizer_config.json of these contents. Errors of load().
  static Tokenizer described(std::string tokenizer_json, std::string tokenizer_config_json);
  /// Reads a tokenizer.json alone, as `tokenizers` does: its truncation applies, and without one nothing is cut.
  static Tokenizer load_file(const std::filesystem::path& tokenizer_json);
  /// Writes what `tokenizers` and `transformers` load: vocab.txt, tokenizer.json and tokenizer_config.json of a
  /// tokenizer that was built, the files that it was read from otherwise.
  void save(const std::filesystem::path& directory) const;
  /// The same tokenizer, cutting texts at `max_length` tokens; its folder says so too. ValueError for a tokenizer of
  /// load_file(); DataError when the special tokens need more room.
  Tokenizer limited(int32_t max_length) const;
  /// A tokenizer with the tokens `used`, the special and other added tokens, and what else it needs to split every text
  /// of these tokens as this one does, up to the ids (vocabulary_pruning.h). ValueError for a tokenizer of load_file();
  /// DataError naming the folder when its files cannot describe the smaller vocabulary; IndexError.
  PrunedTokenizer pruned(std::span<const int32_t> used) const;
  /// Whether it is BERT's tokenizer with the usual special tokens and no other added tokens.
  bool plain_bert() const { return plain_bert_; }
  /// The content of tokenizer.json for BERT's tokenizer with its usual special tokens. ValueError for another one.
  std::string pipeline_json() const;

  /// An added token spelled out in the text becomes that token. Texts of more than max_length tokens are cut. DataError
  /// at the first byte that is not UTF-8 (strict: no overlongs, no surrogates); ValueError for a text of more than 256
  /// MiB. Time linear in the text's length.
  Encoding encode(std::string_view text) const;
  /// A pair, as the model joins it.
  Encoding encode(std::string_view text, std::string_view second) const;
  /// All parts that max_length cuts a text into: encode()'s first, then its overflow in the order of `tokenizers`.
  std::vector<Encoding> windows(std::string_view text, std::optional<std::string_view> second = {}) const;
  /// The text of the ids; ids without a token are left out.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = true) const;

  /// One above the highest id: the rows that an embedding needs.
  int32_t vocab_size() const;
  /// token() of every id.
  std::vector<std::string> tokens() const;
  /// Empty for an id in between without a token. IndexError outside [0, vocab_size()).
  std::string token(int32_t id) const;
  int32_t id(std::string_view token) const;  ///< unk_id() for an unknown token
  // -1 where the tokenizer has no such token.
  int32_t pad_id() const { return special_[0]; }
  int32_t unk_id() const { return special_[1]; }
  int32_t cls_id() const { return special_[2]; }
  int32_t sep_id() const { return special_[3]; }
  int32_t mask_id() const { return special_[4]; }
  /// How many tokens encode() adds to those of a text.
  int32_t special_tokens() const;
  /// max_length, and how BERT's normalizer treats a text; of other tokenizers the defaults.
  const TokenizerOptions& options() const { return options_; }

 private:
  Tokenizer(text::LoadedFolder loaded, text::FolderFiles files);
  static Tokenizer from(text::FolderFiles files, std::optional<int32_t> room, bool lowercase = false);
  void check_folder(const char* what) const;

  std::unique_ptr<text::Pipeline> pipeline_;
  int32_t special_[5];  // ids, in the order of kSpecialTokens
  TokenizerOptions options_;
  bool plain_bert_ = true;                    // see LoadedFolder
  std::unique_ptr<text::FolderFiles> files_;  // that it was read from; null for a vocabulary
  bool alone_ = false;                        // files_ is a tokenizer.json of no folder
};

struct PrunedTokenizer {
  Tokenizer tokenizer;
  std::vector<int32_t> kept;  ///< the old id of every new one
};

/// Trains a WordPiece vocabulary of at most `size` entries (special tokens first) by merging the most frequent adjacent
/// pair of pieces, over words as the tokenizer splits them. Deterministic: ties break by the lexicographically smaller
/// pair. Characters seen fewer than `min_frequency` times become [UNK].
std::vector<std::string> train_wordpiece(std::span<const std::string> texts, int32_t size,
                                         TokenizerOptions options = {}, int64_t min_frequency = 2);

}  // namespace qing::nn
