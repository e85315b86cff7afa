// Errors about files of weights, worded alike for all formats. Thread-safe.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace qing::nn {

/// A name from a file, for a message: at most 80 bytes, control characters as '?'.
std::string printable(std::string_view name);

/// Throws errors about one file.
class FileFaults {
 public:
  FileFaults(const std::filesystem::path& path, std::string_view format) : path_(path.string()), format_(format) {}

  /// DataError "PATH: not a valid FORMAT file: WHAT; write or download it again".
  [[noreturn]] void invalid(std::string_view what) const;
  /// DataError "PATH: unsupported: WHAT", for a valid file with something that qing does not have.
  [[noreturn]] void unsupported(std::string_view what) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_, format_;
};

}  // namespace qing::nn
