// The safetensors format (https://huggingface.co/docs/safetensors): 8-byte little-endian header length, a JSON header,
// then raw little-endian data. Reading treats the file as hostile and checks the whole header before it uses data;
// writing is atomic (write, fsync, rename). What is valid is what the reference implementation, version 0.8, accepts,
// with one exception: a duplicate name is refused, as the format's description demands.
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

/// Reads a regular file. Aligned tensors lie on the file's pages (MappedFile). DataError names the path, the tensor and
/// the problem. The file may be invalid: truncated, a header that is too large or not JSON, offsets that are out of
/// bounds, overlap or leave holes, a size that does not fit shape and dtype, an unknown dtype. Or it may be valid but
/// unsupported: a dtype of the format that DType lacks (U16, F8_E4M3 and others), more than 64 dimensions, sizes beyond
/// 64 bits. In a BOOL tensor any byte but 0 is true. IoError if the file is unreadable.
SafetensorsFile load_safetensors(const std::filesystem::path& path);
/// IoError leaves an existing file at `path` unchanged and no temporary file behind.
void save_safetensors(const std::filesystem::path& path, const SafetensorsFile& file);

}  // namespace qing::nn
