// Copies a model as the next version of another.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace qing::serve {

/// Copies the files of a version to ROOT/NAME/N, where N is `lowest` or the first number above it that is free, and
/// returns N. The copy is whole and on the disk before it has its name, so a crash leaves the version or nothing that
/// is taken for one. What a crash left of an earlier copy is removed. Several processes may copy at once. IoError, with
/// nothing left behind; DataError for a source that holds anything but folders and files.
std::int64_t copy_version(const std::filesystem::path& source, const std::filesystem::path& root,
                          const std::string& name, std::int64_t lowest);

}  // namespace qing::serve
