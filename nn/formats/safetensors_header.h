// What a safetensors file has and where. The header is checked as a whole before any data are read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/formats/weights_file.h>
#include <qing/tensor/dtype.h>

namespace qing::nn {

inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;  ///< bytes; the reference implementation's limit
inline constexpr std::string_view kSafetensorsMetadata = "__metadata__";

/// What the format calls a dtype. DTypeError when it has no name for it.
std::string_view safetensors_name(DType dtype);

/// In the order of their data, which they cover without a hole. DataError as load_safetensors().
FileContents read_safetensors(const std::shared_ptr<const MappedFile>& file);

}  // namespace qing::nn
