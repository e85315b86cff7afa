// The safetensors format (https://huggingface.co/docs/safetensors): 8-byte little-endian header length, a JSON header,
// then raw little-endian data. Reading treats the file as hostile and checks the whole header before it reads data;
// writing is atomic (write, fsync, rename). What is valid is what the reference implementation, version 0.8, accepts,
// with one exception: a name that stands twice is refused, as the format's description demands.
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

/// Reads a regular file. DataError naming the path, the tensor and what is wrong. Either the file is not valid:
/// truncated, a header that is too large or not JSON, offsets out of bounds, overlapping or leaving holes, a size that
/// does not fit shape and dtype, an unknown dtype. Or it is valid and unsupported: a dtype of the format that DType has
/// not (U16, F8_E4M3 and others), more than 64 dimensions, sizes beyond 64 bits. Any byte but 0 is true in a BOOL.
/// IoError if unreadable.
SafetensorsFile load_safetensors(const std::filesystem::path& path);
/// IoError leaves an existing file at `path` as it was, and no temporary file behind.
void save_safetensors(const std::filesystem::path& path, const SafetensorsFile& file);

}  // namespace qing::nn
