// The safetensors format (https://huggingface.co/docs/safetensors): 8-byte little-endian header length, a JSON header,
// then raw little-endian data. Reading treats the file as hostile; writing is atomic (write, fsync, rename).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include <qing/tensor/tensor.h>

namespace qing::nn {

struct SafetensorsFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// DataError naming the path, the tensor and what is wrong (truncated file, header too large or not JSON, offsets out
/// of bounds, overlapping or leaving holes, size that does not fit shape and dtype, unknown dtype); IoError if
/// unreadable.
SafetensorsFile load_safetensors(const std::filesystem::path& path);
/// IoError leaves an existing file at `path` as it was, and no temporary file behind.
void save_safetensors(const std::filesystem::path& path, const SafetensorsFile& file);

}  // namespace qing::nn
