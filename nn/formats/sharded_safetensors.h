// Weights of a folder in Hugging Face's layout: one file STEM.safetensors, or, when they are large, shards
// STEM-00001-of-00003.safetensors, ... with STEM.safetensors.index.json, which tells the shard of every tensor.
#pragma once

#include <qing/nn/formats/safetensors.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace qing::nn {

inline constexpr int64_t kMaxShardBytes = 5'000'000'000;  ///< Hugging Face's own default, "5GB"

/// Reads either form, or the single file when both exist, as transformers does. The index is not trusted. DataError
/// when it is not an index, names a file outside the folder or a tensor that its shard lacks, or when a shard holds a
/// tensor that the index does not assign to it (such as a tensor in two shards). IoError when neither form exists or a
/// shard is missing. The metadata are those of the file, or of the first shard.
SafetensorsFile load_sharded_safetensors(const std::filesystem::path& directory, const std::string& stem = "model");

/// Writes a single file when the tensors take at most `max_shard_bytes`. Otherwise it writes shards of at most that
/// size, in the order of the names. A larger tensor gets a shard of its own. ValueError unless max_shard_bytes > 0.
/// Files of the other form with the same stem are removed last. Each file is replaced atomically. The set of shards is
/// not replaced atomically: to get that, write to a new folder and rename it.
void save_sharded_safetensors(const std::filesystem::path& directory, const SafetensorsFile& file,
                              int64_t max_shard_bytes = kMaxShardBytes, const std::string& stem = "model");

}  // namespace qing::nn
