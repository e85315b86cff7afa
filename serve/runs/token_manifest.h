// What an entry of the token cache was made of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace qing::serve::cli {

/// A file as it was when it was read.
struct FileStamp {
  uint64_t size = 0;
  int64_t modified = 0;  ///< nanoseconds since 1970
  bool operator==(const FileStamp&) const = default;
};
FileStamp stamp_of(const std::filesystem::path& file);  ///< IoError

struct TokenManifest {
  struct File {
    std::string path, sha256;
    FileStamp stamp;
    std::vector<int64_t> label_texts;  ///< texts to train on, by label
  };
  std::vector<File> files;
  std::vector<std::string> labels;
  bool labels_given = false;                   ///< not learned from the data
  int64_t looked_at = 0;                       ///< when the stamps were taken, in nanoseconds since 1970
  std::map<std::string, std::string> digests;  ///< SHA-256 of the entry's small files, by their paths in it
};

/// DataError naming the file for what is no manifest, or one of another version; IoError.
TokenManifest read_token_manifest(const std::filesystem::path& file);
void write_token_manifest(const std::filesystem::path& file, const TokenManifest& manifest);  ///< IoError

/// SHA-256 of the files of an entry but tokens.bin, which has checksums of its own, and the manifest.
std::map<std::string, std::string> digests_of_entry(const std::filesystem::path& entry);

inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kTokensFile = "tokens.bin";
inline constexpr const char* kHeldFile = "held.json";
inline constexpr const char* kSampleFile = "sample.json";
inline constexpr const char* kTokenizerFolder = "tokenizer";

}  // namespace qing::serve::cli
