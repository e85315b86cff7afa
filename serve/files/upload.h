// The bytes of a file on their way into the store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace qing::serve {

/// A temporary file that only its owner can read. It is locked while the Upload lives, so that no other process takes
/// it for a leftover, and it is removed at the end unless it was kept. Not thread-safe.
class Upload {
 public:
  /// The prefix of the names of temporary files. No other file has it.
  static constexpr std::string_view kPrefix = "upload-";

  explicit Upload(const std::filesystem::path& folder);  ///< Makes the folder if it is missing. IoError.
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  void write(std::string_view bytes);  ///< IoError, also for a full disk
  void sync();                         ///< Afterwards the bytes survive a power cut. IoError.
  /// Renames the file. Afterwards the name survives a power cut. IoError leaves the file under its old name.
  void keep_as(const std::filesystem::path& path);

  std::uint64_t bytes() const { return bytes_; }
  std::string sha256() const;  ///< of the bytes so far, 64 hexadecimal digits
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Digest;
  std::filesystem::path path_;
  int file_ = -1;
  std::uint64_t bytes_ = 0;
  bool kept_ = false;
  std::unique_ptr<Digest> digest_;
};

}  // namespace qing::serve
