// ONNX models as far as weights and encoders need them: a bounded reader of the protobuf messages ModelProto,
// GraphProto, NodeProto, AttributeProto and TensorProto (onnx/onnx.proto3 of ONNX 1.23; the encoding is that of
// https://protobuf.dev/programming-guides/encoding). Names and texts point into the file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/formats/file_faults.h>
#include <qing/nn/formats/weights_file.h>

namespace qing::nn {

/// Limits on the messages and texts of a model, and on the numbers that are written one by one. Without them a small
/// file could fill the memory.
inline constexpr uint64_t kMaxOnnxParts = uint64_t{1} << 20, kMaxOnnxNumbers = uint64_t{1} << 25;
inline constexpr size_t kMaxOnnxNodes = size_t{1} << 16;

struct OnnxTensor {
  std::string_view name;
  int32_t type = 0;  ///< TensorProto.DataType
  Shape dims = {};
  uint64_t place = 0;  ///< in the file, of raw data or of packed floats
  std::optional<std::string_view> raw = {};
  std::vector<uint64_t> numbers = {};  ///< elements that are written one by one, as bits
  std::map<std::string_view, std::string_view> external = {};
  bool is_external = false;
};

struct OnnxAttribute {
  std::optional<int64_t> integer = {};
  std::optional<float> number = {};
  std::string_view text = {};
  std::vector<int64_t> integers = {};
  std::optional<OnnxTensor> tensor = {};
  bool is_graph = false;
};

struct OnnxNode {
  std::string_view operation, domain, name;
  std::vector<std::string_view> inputs = {}, outputs = {};
  std::map<std::string_view, OnnxAttribute> attributes = {};
};

struct OnnxModel {
  std::shared_ptr<const MappedFile> file;
  /// Files of external data that onnx_source() has mapped, by the location that the model gives.
  std::shared_ptr<std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>>> external =
      std::make_shared<std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>>>();
  std::string_view producer = {};
  std::map<std::string_view, int64_t> opsets = {};  ///< by domain
  std::vector<OnnxNode> nodes = {};
  std::vector<OnnxTensor> initializers = {};
  std::vector<std::string_view> inputs = {}, outputs = {};
};

/// DataError names the byte where the file is cut or malformed.
OnnxModel read_onnx(const std::shared_ptr<const MappedFile>& file);

/// Whether the bytes begin as a ModelProto does: with the field ir_version.
bool is_onnx(std::string_view bytes);

/// Where the elements of a tensor are. DataError when qing lacks the type, when the data do not fit the shape, or when
/// external data are outside the model's folder. IoError when a file of external data cannot be read. Not thread-safe
/// for one model.
TensorSource onnx_source(const OnnxModel& model, const OnnxTensor& tensor);

/// The initializers of a model, by their names.
std::vector<TensorSource> onnx_initializers(const OnnxModel& model);

}  // namespace qing::nn
