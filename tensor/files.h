// Reading files whole or in pieces, atomic writing, and making file names durable. Not thread-safe for one FileReader.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace qing {

/// A file read from front to back. Every error is an IoError with the path and the system's reason.
class FileReader {
 public:
  explicit FileReader(std::filesystem::path path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;
  /// Fills `into` from its front. Returns the number of bytes, which is 0 only at the end of the file.
  size_t read(std::span<char> into);
  /// Fills all of `into`. DataError if the file ends first.
  void read_exactly(std::span<char> into);
  size_t size() const { return size_; }  ///< In bytes, when the file was opened; 0 for a pipe or a device.

 private:
  std::filesystem::path path_;
  int fd_;
  size_t size_;
};

inline constexpr size_t kMaxWholeFile = size_t{1} << 30;
/// The content of a file. IoError with the path and the system's reason, or if there are more than `most` bytes:
/// endless devices and sparse files must not fill the memory.
std::string read_file(const std::filesystem::path& path, size_t most = kMaxWholeFile);
/// Writes the parts in order to a temporary file in the same folder, fsyncs, renames over `path`, fsyncs the folder.
/// On failure (IoError) `path` is as it was and the temporary file is gone.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::string_view> parts);
inline void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  write_file_atomically(path, std::span(&content, 1));
}

/// Whether write_file_atomically() can make its temporary file for this path. Leaves no file. Returns the system's
/// error.
std::error_code temporary_file_error(const std::filesystem::path& path);

/// Whether the file is there. A path that cannot be examined counts, since reading it then tells why.
bool is_there(const std::filesystem::path& path) noexcept;

/// The folder that a path lies in: "." for a name alone.
std::filesystem::path parent_folder(const std::filesystem::path& path);

/// Makes the names in a folder durable, as far as its file system can. IoError if the folder cannot be opened.
void sync_folder(const std::filesystem::path& path);

}  // namespace qing
