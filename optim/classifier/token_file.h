// A file of tokenized texts with labels, which is mapped into memory and read at any place.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include <qing/nn/formats/mapped_file.h>

namespace qing::optim {

/// The format, little-endian. The file begins with the 8 bytes "QINGTOKS", the version (u32, 1) and the bytes of a
/// token id (u32: 2 for vocabularies up to 65,536, else 4). Blocks follow, each at a multiple of 8 bytes: where each
/// text ends among the block's ids (u32), the labels (i32), and the ids. Behind them lies the table of blocks: for each
/// block its offset and its checksum (u64), and its texts, ids, group and 0 (u32). The file ends with the offset of the
/// table, the number of blocks, the number of texts, the checksum of head, table and these three (u64), and the bytes
/// "QINGTEND". Checksums are nn::fingerprint().
struct TokenBlock {
  uint64_t offset, checksum;
  uint32_t texts, ids, group, unused;
};

/// Writes a file from front to back. Not thread-safe.
class TokenFileWriter {
 public:
  static constexpr size_t kBlockTexts = 4096, kBlockIds = size_t{1} << 18;

  /// IoError; ValueError for a vocabulary without tokens.
  TokenFileWriter(std::filesystem::path path, int64_t vocab);
  ~TokenFileWriter();
  TokenFileWriter(const TokenFileWriter&) = delete;
  TokenFileWriter& operator=(const TokenFileWriter&) = delete;

  /// A block has texts of one group, at most kBlockTexts, and no further text after kBlockIds ids. IoError; ValueError
  /// for an id that is not below `vocab`.
  void add(std::span<const int32_t> ids, int32_t label, int32_t group);
  /// Writes the end, and syncs the file. Without it the file cannot be opened. IoError.
  void finish();

 private:
  void end_block();
  void write(const void* bytes, size_t size);

  std::filesystem::path path_;
  int64_t vocab_;
  std::FILE* file_;
  uint64_t written_ = 0, texts_ = 0;
  std::vector<TokenBlock> table_;
  // The block that is not complete.
  std::vector<uint32_t> ends_;
  std::vector<int32_t> labels_, ids_;
  int32_t group_ = 0;
};

/// Thread-safe. The pages are those of the system's page cache, which processes share.
class TokenFile {
 public:
  /// Reads the ends of the file and no block. IoError; DataError "path: what" for a file that is cut, damaged, of
  /// another version or none of these.
  static std::shared_ptr<const TokenFile> open(const std::filesystem::path& path);

  size_t texts() const { return texts_; }
  const std::vector<TokenBlock>& blocks() const { return blocks_; }

  struct Text {
    std::vector<int32_t> ids;
    int32_t label, group;
  };
  /// A text of a block. At the first one the block's checksum is compared: DataError naming file and block.
  Text text(size_t block, size_t row) const;

 private:
  explicit TokenFile(std::shared_ptr<const nn::MappedFile> file);
  void check_block(size_t block) const;

  std::shared_ptr<const nn::MappedFile> file_;
  uint32_t id_bytes_ = 0;
  size_t texts_ = 0;
  std::vector<TokenBlock> blocks_;
  std::unique_ptr<std::atomic<bool>[]> checked_;
};

}  // namespace qing::optim
