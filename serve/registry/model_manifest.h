// manifest.json: the SHA-256 of each file of a model version.
#pragma once

#include <filesystem>

namespace qing::serve {

inline constexpr const char* kManifestFile = "manifest.json";

/// Writes the manifest of all files below the folder, with paths relative to it. Also makes the files durable. IoError.
void write_manifest(const std::filesystem::path& folder);
/// Compares the files with the folder's manifest; a folder without one passes. DataError naming the first file that is
/// missing or has other bytes, and for a manifest that write_manifest() did not write. IoError.
void check_manifest(const std::filesystem::path& folder);

}  // namespace qing::serve
