// Whole-file reading and atomic writing.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace qing {

std::string read_file(const std::filesystem::path& path);  ///< IoError with the path and the system's reason.
/// Writes the parts in order to a temporary file in the same folder, fsyncs, renames over `path`, fsyncs the folder.
/// On failure (IoError) `path` is as it was and the temporary file is gone.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::string_view> parts);
inline void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  write_file_atomically(path, std::span(&content, 1));
}

}  // namespace qing
