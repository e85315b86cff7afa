// The header of a safetensors file: what tensors it has and where. It is checked as a whole before any data are read.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/formats/file_faults.h>
#include <qing/tensor/dtype.h>
#include <qing/tensor/layout.h>

namespace qing::nn {

inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;  ///< bytes; the reference implementation's limit
inline constexpr std::string_view kSafetensorsMetadata = "__metadata__";

/// What the format calls a dtype. DTypeError when it has no name for it.
std::string_view safetensors_name(DType dtype);

struct SafetensorsEntry {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t begin, end;  ///< in bytes after the header
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< in the order of their data, which they cover without a hole
  std::map<std::string, std::string> metadata;
  uint64_t bytes;  ///< of the header with its length: where the data begin
};

/// Reads the header of a file of `size` bytes; `read` fills its argument from the front of the file on. DataError as
/// load_safetensors().
SafetensorsHeader read_safetensors_header(uint64_t size, const std::function<void(std::span<char>)>& read,
                                          const FileFaults& faults);

}  // namespace qing::nn
