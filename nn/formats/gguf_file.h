// The GGUF format, versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): typed metadata, then
// descriptions of the tensors, then their data, each at a multiple of the alignment.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <qing/nn/formats/file_faults.h>
#include <qing/nn/formats/weights_file.h>

namespace qing::nn {

/// Texts point into the file. An array of numbers stays as it lies there.
struct GgufArray {
  uint32_t type;  ///< of the elements, as the format numbers them
  uint64_t count;
  std::string_view numbers = {};
  std::vector<std::string_view> texts = {};
};
using GgufValue = std::variant<bool, int64_t, uint64_t, double, std::string_view, GgufArray>;

struct GgufFile {
  std::shared_ptr<const MappedFile> file;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<TensorSource> sources;
};

/// Reads the metadata and the tensors of a file. The known types of tensors are F32, F16, BF16, F64, I8, I32, I64, Q8_0
/// and Q4_0. DataError names another type, or the position or the tensor that is malformed.
GgufFile read_gguf(const std::shared_ptr<const MappedFile>& file);

bool is_gguf(std::string_view bytes);

// Values of the metadata. DataError when the key is absent or its value has another type.
const GgufValue& gguf_value(const GgufFile& gguf, std::string_view key);
std::string_view gguf_text(const GgufFile& gguf, std::string_view key);
int64_t gguf_integer(const GgufFile& gguf, std::string_view key);  ///< at least 0
double gguf_number(const GgufFile& gguf, std::string_view key);
const GgufArray& gguf_array(const GgufFile& gguf, std::string_view key);
/// The elements of an array of f32.
std::vector<float> gguf_floats(const GgufFile& gguf, std::string_view key);
/// Scalars and texts as texts; arrays are left out.
std::map<std::string, std::string> gguf_metadata_texts(const GgufFile& gguf);

/// For errors about the meaning of the metadata and the tensors.
FileFaults gguf_faults(const GgufFile& gguf);

}  // namespace qing::nn
