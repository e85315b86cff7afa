// Listing and removing folders when memory may run out. The iterators of std::filesystem end the process then:
// libstdc++ declares their steps noexcept, and each allocates a path.
#pragma once

#include <filesystem>
#include <system_error>
#include <vector>

namespace qing {

/// The entries of a folder in any order, without those that are removed meanwhile. std::filesystem::filesystem_error,
/// also when one of them cannot be looked at: a list is complete.
std::vector<std::filesystem::directory_entry> entries_of(const std::filesystem::path& folder);
/// On an error there are none, and `error` says why. std::bad_alloc.
std::vector<std::filesystem::directory_entry> entries_of(const std::filesystem::path& folder, std::error_code& error);

/// The entries of a folder and of all folders below it. Links are not followed. std::filesystem::filesystem_error.
std::vector<std::filesystem::directory_entry> entries_below(const std::filesystem::path& folder);

/// Removes a file, a link, or a folder with all that is in it. Links are not followed. Says whether it was there. After
/// an error a part may be left. Allocates nothing of C++, so that destructors can call it.
bool remove_tree(const std::filesystem::path& path, std::error_code& error) noexcept;
bool remove_tree(const std::filesystem::path& path);  ///< std::filesystem::filesystem_error

}  // namespace qing
