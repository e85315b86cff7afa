// Data files that are given as folders or patterns.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

namespace qing::serve::cli {

/// The files themselves, in the order in which they are given. A folder stands for the tables in it (.tsv, .tab, .csv,
/// .jsonl, .ndjson, .json, .txt, .xlsx) without those whose names begin with a dot, and a pattern with *, ? or [...]
/// that is no file for the files that match it (glob(7)); both are sorted by their bytes. UsageError for a folder or a
/// pattern without files; IoError for a folder that cannot be read.
std::vector<std::filesystem::path> shard_files(std::span<const std::filesystem::path> given);

}  // namespace qing::serve::cli
