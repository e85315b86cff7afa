// Unpacks a model that a client sends as a tar or zip archive.
#pragma once

#include <cstdint>
#include <filesystem>

namespace qing::serve {

struct ArchiveBounds {
  std::uint64_t bytes = 0;       ///< of all files, unpacked
  std::uint64_t entries = 4096;  ///< files and folders
};

struct UnpackedModel {
  std::filesystem::path folder;  ///< with the model's files: the target, or the only folder in it
  std::uint64_t files = 0, bytes = 0;
};

/// Unpacks a tar (plain or gzip) or a zip archive into an empty folder. Files and folders that macOS adds are left out.
/// Modes, owners and times of the archive have no effect: only this process's user can read the result. Memory is
/// bounded. IoError when the disk fails. DataError, with a part unpacked, for anything else than such an archive; for a
/// tar without the two blocks of zeros at its end, which may have been cut between two files; for
/// an entry that is neither a file nor a folder, such as a link; for a path that is absolute, has "..", stands twice or
/// has other characters than printable ASCII; and above the bounds. The message has at most the number of an entry,
/// never its name.
UnpackedModel unpack_model(const std::filesystem::path& archive, const std::filesystem::path& target,
                           const ArchiveBounds& bounds);

}  // namespace qing::serve
