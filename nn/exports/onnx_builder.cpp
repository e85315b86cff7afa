#include <qing/nn/exports/onnx_builder.h>

#include <fmt/format.h>

#include <bit>

#include <qing/nn/formats/tensor_bytes.h>

namespace qing::nn {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

// Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), message by message.
namespace model_field {
constexpr uint32_t ir_version = 1, producer_name = 2, graph = 7, opset_import = 8, metadata = 14;
}
namespace opset_field {
constexpr uint32_t domain = 1, version = 2;
}
namespace entry_field {
constexpr uint32_t key = 1, value = 2;
}
namespace graph_field {
constexpr uint32_t node = 1, name = 2, initializer = 5, input = 11, output = 12;
}
namespace node_field {
constexpr uint32_t input = 1, output = 2, name = 3, op_type = 4, attribute = 5;
}
namespace attribute_field {
constexpr uint32_t name = 1, real = 2, integer = 3, text = 4, graph = 6, integers = 8, type = 20;
}
namespace attribute_type {
constexpr int64_t real = 1, integer = 2, text = 3, graph = 5, integers = 7;
}
namespace tensor_field {
constexpr uint32_t dims = 1, data_type = 2, name = 8, raw_data = 9;
}
namespace value_field {
constexpr uint32_t name = 1, type = 2;
}
namespace type_field {
constexpr uint32_t tensor = 1, element = 1, shape = 2, dimension = 1, size = 1, parameter = 2;
}

constexpr int64_t kIrVersion = 8, kOpset = 18;

OnnxType type_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return OnnxType::f32;
    case DType::f16: return OnnxType::f16;
    case DType::u8: return OnnxType::u8;
    case DType::i8: return OnnxType::i8;
    case DType::i32: return OnnxType::i32;
    case DType::i64: return OnnxType::i64;
    default: throw DTypeError(fmt::format("OnnxBuilder: a constant has the dtype {}", name_of(dtype)));
  }
}

ProtobufMessage value_info(const std::string& name, OnnxType type, const std::vector<OnnxDimension>& shape) {
  ProtobufMessage dimensions;
  for (const OnnxDimension& dimension : shape) {
    ProtobufMessage one;
    if (const auto* size = std::get_if<int64_t>(&dimension)) {
      one.integer(type_field::size, *size);
    } else {
      one.bytes(type_field::parameter, std::get<std::string>(dimension));
    }
    dimensions.message(type_field::dimension, one);
  }
  ProtobufMessage tensor, either, info;
  tensor.integer(type_field::element, static_cast<int64_t>(type)).message(type_field::shape, dimensions);
  either.message(type_field::tensor, tensor);
  info.bytes(value_field::name, name).message(value_field::type, either);
  return info;
}

ProtobufMessage attribute_message(const std::string& name, const OnnxBuilder::Attribute& attribute) {
  ProtobufMessage result;
  result.bytes(attribute_field::name, name);
  if (const auto* integer = std::get_if<int64_t>(&attribute)) {
    result.integer(attribute_field::integer, *integer).integer(attribute_field::type, attribute_type::integer);
  } else if (const auto* real = std::get_if<float>(&attribute)) {
    result.real(attribute_field::real, *real).integer(attribute_field::type, attribute_type::real);
  } else if (const auto* text = std::get_if<std::string>(&attribute)) {
    result.bytes(attribute_field::text, *text).integer(attribute_field::type, attribute_type::text);
  } else if (const auto* list = std::get_if<std::vector<int64_t>>(&attribute)) {
    for (const int64_t one : *list) result.integer(attribute_field::integers, one);
    result.integer(attribute_field::type, attribute_type::integers);
  } else {
    result.message(attribute_field::graph, std::get<const OnnxBuilder*>(attribute)->message(name))
        .integer(attribute_field::type, attribute_type::graph);
  }
  return result;
}

}  // namespace

OnnxBuilder::Value OnnxBuilder::input(const std::string& name, OnnxType type, const std::vector<OnnxDimension>& shape) {
  inputs_.push_back(value_info(name, type, shape));
  return name;
}

void OnnxBuilder::output(const Value& value, const std::string& name, OnnxType type,
                         const std::vector<OnnxDimension>& shape) {
  ProtobufMessage node;
  node.bytes(node_field::input, value).bytes(node_field::output, name);
  node.bytes(node_field::name, "output_" + name).bytes(node_field::op_type, "Identity");
  nodes_.push_back(std::move(node));
  outputs_.push_back(value_info(name, type, shape));
}

std::vector<OnnxBuilder::Value> OnnxBuilder::ops(const std::string& type, const std::vector<Value>& inputs,
                                                 size_t count, const Attributes& attributes) {
  const std::string name = fresh(type);
  ProtobufMessage node;
  std::vector<Value> results;
  for (const Value& input : inputs) node.bytes(node_field::input, input);
  for (size_t i = 0; i < count; ++i) {
    results.push_back(i == 0 ? name : fmt::format("{}.{}", name, i));
    node.bytes(node_field::output, results.back());
  }
  node.bytes(node_field::name, name).bytes(node_field::op_type, type);
  for (const auto& [key, value] : attributes) node.message(node_field::attribute, attribute_message(key, value));
  nodes_.push_back(std::move(node));
  return results;
}

OnnxBuilder::Value OnnxBuilder::op(const std::string& type, const std::vector<Value>& inputs,
                                   const Attributes& attributes) {
  return ops(type, inputs, 1, attributes)[0];
}

OnnxBuilder::Value OnnxBuilder::constant(const Tensor& tensor) {
  const Tensor dense = tensor.contiguous();
  const OnnxType type = type_of(dense.dtype());
  std::string name = fresh("constant");
  ProtobufMessage message;
  for (const int64_t size : dense.shape()) message.integer(tensor_field::dims, size);
  message.integer(tensor_field::data_type, static_cast<int64_t>(type)).bytes(tensor_field::name, name);
  const std::span<char> bytes = bytes_of(dense);
  message.bytes(tensor_field::raw_data, {bytes.data(), bytes.size()});
  initializers_.push_back(std::move(message));
  return name;
}

OnnxBuilder::Value OnnxBuilder::number(int64_t value) {
  Value& known = known_numbers_[{{value}, true}];
  if (known.empty()) known = constant(Tensor::full({}, value, DType::i64));
  return known;
}

OnnxBuilder::Value OnnxBuilder::numbers(const std::vector<int64_t>& list) {
  Value& known = known_numbers_[{list, false}];
  if (known.empty()) {
    known = constant(Tensor::from<int64_t>(std::span<const int64_t>(list), {static_cast<int64_t>(list.size())}));
  }
  return known;
}

OnnxBuilder::Value OnnxBuilder::real(float value) { return constant(Tensor::full({}, value)); }

ProtobufMessage OnnxBuilder::message(const std::string& name) const {
  ProtobufMessage graph;
  for (const ProtobufMessage& node : nodes_) graph.message(graph_field::node, node);
  graph.bytes(graph_field::name, name);
  for (const ProtobufMessage& initializer : initializers_) graph.message(graph_field::initializer, initializer);
  for (const ProtobufMessage& input : inputs_) graph.message(graph_field::input, input);
  for (const ProtobufMessage& output : outputs_) graph.message(graph_field::output, output);
  return graph;
}

std::string onnx_model(const OnnxBuilder& graph, const std::vector<std::pair<std::string, std::string>>& metadata) {
  ProtobufMessage model, opset;
  opset.bytes(opset_field::domain, "").integer(opset_field::version, kOpset);
  model.integer(model_field::ir_version, kIrVersion).bytes(model_field::producer_name, "qing");
  model.message(model_field::graph, graph.message("qing")).message(model_field::opset_import, opset);
  for (const auto& [key, value] : metadata) {
    ProtobufMessage entry;
    entry.bytes(entry_field::key, key).bytes(entry_field::value, value);
    model.message(model_field::metadata, entry);
  }
  return model.encoded();
}

}  // namespace qing::nn
