// Copies that are on the disk when the function returns.
#pragma once

#include <filesystem>
#include <functional>
#include <span>

namespace qing::serve {

/// Writes a new file with what `next` gives, until that gives nothing, and syncs it. Only its owner can read it.
/// IoError, also when the file exists.
void write_new_file(const std::filesystem::path& file, const std::function<std::span<const char>()>& next);
/// IoError, also when the target exists.
void copy_one_file(const std::filesystem::path& from, const std::filesystem::path& to);
/// Copies a folder with its folders and files to a new folder. DataError for anything else inside it. IoError, with a
/// part of the copy left.
void copy_folder(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace qing::serve
