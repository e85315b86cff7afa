// An ONNX graph under construction (https://github.com/onnx/onnx/blob/main/docs/IR.md). Operators are those of
// opset 18.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <qing/nn/exports/protobuf_writer.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

/// Element types by their numbers in onnx.proto.
enum class OnnxType { f32 = 1, u8 = 2, i8 = 3, i32 = 6, i64 = 7, boolean = 9, f16 = 10 };

/// A size or, with a name, a dimension that may differ from call to call.
using OnnxDimension = std::variant<int64_t, std::string>;

class OnnxBuilder {
 public:
  using Value = std::string;  ///< the name of a tensor in the graph
  using Attribute = std::variant<int64_t, float, std::string, std::vector<int64_t>, const OnnxBuilder*>;
  using Attributes = std::vector<std::pair<std::string, Attribute>>;

  /// All names in the graph begin with `prefix`. A graph inside another one sees the outer names, so it needs another
  /// prefix.
  explicit OnnxBuilder(std::string prefix = "") : prefix_(std::move(prefix)) {}

  Value input(const std::string& name, OnnxType type, const std::vector<OnnxDimension>& shape);
  /// Makes `value` an output of the graph under the name `name`.
  void output(const Value& value, const std::string& name, OnnxType type, const std::vector<OnnxDimension>& shape);

  /// A node with one result.
  Value op(const std::string& type, const std::vector<Value>& inputs, const Attributes& attributes = {});
  /// A node with `count` results.
  std::vector<Value> ops(const std::string& type, const std::vector<Value>& inputs, size_t count,
                         const Attributes& attributes = {});
  Value cast(const Value& value, OnnxType type) { return op("Cast", {value}, {{"to", static_cast<int64_t>(type)}}); }

  /// A constant tensor, stored as it is; DTypeError for a dtype without an OnnxType.
  Value constant(const Tensor& tensor);
  Value number(int64_t value);                      ///< i64, no dimensions
  Value numbers(const std::vector<int64_t>& list);  ///< i64, one dimension
  Value real(float value);                          ///< f32, no dimensions

  /// The GraphProto.
  ProtobufMessage message(const std::string& name) const;

 private:
  Value fresh(const std::string& stem) { return prefix_ + stem + "_" + std::to_string(count_++); }

  std::string prefix_;
  int64_t count_ = 0;
  std::vector<ProtobufMessage> nodes_, initializers_, inputs_, outputs_;
  std::map<std::pair<std::vector<int64_t>, bool>, Value> known_numbers_;
};

/// The bytes of a ModelProto with the graph.
std::string onnx_model(const OnnxBuilder& graph, const std::vector<std::pair<std::string, std::string>>& metadata);

}  // namespace qing::nn
