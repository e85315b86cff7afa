// The files of a tokenizer's folder.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace qing::nn::text {

inline constexpr const char* kVocabFile = "vocab.txt";
inline constexpr const char* kTokenizerFile = "tokenizer.json";
inline constexpr const char* kTokenizerConfigFile = "tokenizer_config.json";
inline constexpr const char* kSpecialTokensFile = "special_tokens_map.json";
inline constexpr const char* kAddedTokensFile = "added_tokens.json";
// SentencePiece's models: Marian's, M2M-100's and mBART's, T5's; and the ids that the first two keep beside them.
inline constexpr const char* kSourcePiecesFile = "source.spm";
inline constexpr const char* kTargetPiecesFile = "target.spm";
inline constexpr const char* kBpePiecesFile = "sentencepiece.bpe.model";
inline constexpr const char* kPiecesFile = "spiece.model";
inline constexpr const char* kVocabularyFile = "vocab.json";

/// The contents by name, so that a tokenizer can be changed and saved without its folder. Thread-safe while no one
/// calls set().
class FolderFiles {
 public:
  FolderFiles() = default;
  /// Reads those of the names above and the model's config.json that are there: SentencePiece's files and vocab.json
  /// only without tokenizer.json, which describes a tokenizer as a whole, or with source.spm, which Marian's class
  /// reads in any case. IoError; DataError for a file of more than 256 MiB.
  explicit FolderFiles(std::filesystem::path directory);

  bool has(std::string_view name) const { return contents_.contains(name); }
  const std::string& text(std::string_view name) const;  ///< IoError without the file
  void set(std::string_view name, std::string content);
  bool empty() const { return contents_.empty(); }
  /// Where a file was read from, for errors.
  std::filesystem::path path(std::string_view name) const { return directory_ / name; }
  const std::filesystem::path& directory() const { return directory_; }
  /// Writes the tokenizer's files, not the model's config.json. IoError.
  void save(const std::filesystem::path& directory) const;

 private:
  std::filesystem::path directory_;
  std::map<std::string, std::string, std::less<>> contents_;
};

/// The content of a file. IoError; DataError for one of more than 256 MiB.
std::string read_bounded_file(const std::filesystem::path& path);

}  // namespace qing::nn::text
