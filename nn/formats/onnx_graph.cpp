#include <qing/nn/formats/onnx_graph.h>

#include <fmt/format.h>

#include <algorithm>

namespace qing::nn {
namespace {

constexpr int32_t kFloat = 1, kInt32 = 6, kInt64 = 7, kFloat16 = 10, kDouble = 11, kBfloat16 = 16;

bool is_float_type(int64_t type) { return type == kFloat || type == kFloat16 || type == kDouble || type == kBfloat16; }

bool is_integer_type(int64_t type) { return type == kInt32 || type == kInt64; }

}  // namespace

OnnxGraph::OnnxGraph(const OnnxModel& model) : model_(model), faults_(model.file->path(), "ONNX") {
  for (const OnnxTensor& tensor : model.initializers) {
    if (!initializers_.emplace(tensor.name, &tensor).second) {
      faults_.invalid(fmt::format("two initializers have the name '{}'", printable(tensor.name)));
    }
  }
  for (const std::string_view input : model.inputs) {
    if (initializers_.count(input) == 0) inputs_.insert(input);  // old files list initializers among the inputs
  }
  for (const OnnxNode& node : model.nodes) {
    if (!node.domain.empty() && node.domain != "ai.onnx") {
      unsupported(node, fmt::format("it is of '{}'; export the model without optimisations of one runtime",
                                    printable(node.domain)));
    }
    for (const std::string_view input : node.inputs) {
      if (input.empty()) continue;  // an optional input that is not given
      const bool known = producers_.count(input) > 0 || initializers_.count(input) > 0 || is_input(input);
      if (!known) {
        faults_.invalid(
            fmt::format("node '{}' takes '{}', which nothing before it makes", printable(node.name), printable(input)));
      }
      consumers_[behind(input)].push_back(&node);
    }
    for (const std::string_view output : node.outputs) add_output(node, output);
    const bool same = node.operation == "Identity" || node.operation == "Dropout" ||
                      (node.operation == "Cast" && is_float_type(attribute(node, "to", 0)));
    if (same && !node.inputs.empty() && !node.outputs.empty()) aliases_[node.outputs[0]] = behind(node.inputs[0]);
  }
}

void OnnxGraph::add_output(const OnnxNode& node, std::string_view output) {
  if (output.empty()) return;
  const bool fresh = initializers_.count(output) == 0 && !is_input(output) && producers_.emplace(output, &node).second;
  if (!fresh) {
    faults_.invalid(
        fmt::format("node '{}' makes '{}', which is there already", printable(node.name), printable(output)));
  }
}

const OnnxNode* OnnxGraph::producer(std::string_view value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? nullptr : found->second;
}

const std::vector<const OnnxNode*>& OnnxGraph::consumers(std::string_view value) const {
  static const std::vector<const OnnxNode*> kNone;
  const auto found = consumers_.find(behind(value));
  return found == consumers_.end() ? kNone : found->second;
}

std::string_view OnnxGraph::behind(std::string_view value) const {
  const auto found = aliases_.find(value);
  return found == aliases_.end() ? value : found->second;
}

const OnnxTensor* OnnxGraph::constant(std::string_view value) const {
  value = behind(value);
  if (const auto found = initializers_.find(value); found != initializers_.end()) return found->second;
  const OnnxNode* node = producer(value);
  if (node == nullptr || node->operation != "Constant") return nullptr;
  const auto found = node->attributes.find("value");
  return found == node->attributes.end() || !found->second.tensor ? nullptr : &*found->second.tensor;
}

std::optional<double> OnnxGraph::scalar(std::string_view value) const {
  if (const OnnxNode* node = producer(behind(value)); node != nullptr && node->operation == "Constant") {
    if (const auto found = node->attributes.find("value_float"); found != node->attributes.end()) {
      return found->second.number;
    }
    if (const auto found = node->attributes.find("value_int"); found != node->attributes.end()) {
      return found->second.integer;
    }
  }
  const OnnxTensor* tensor = constant(value);
  if (tensor == nullptr || tensor->is_external || tensor->dims.size() > 8) return std::nullopt;
  if (std::ranges::any_of(tensor->dims, [](int64_t size) { return size != 1; })) return std::nullopt;
  if (!is_float_type(tensor->type) && !is_integer_type(tensor->type)) return std::nullopt;
  OnnxTensor one = *tensor;
  one.dims = {1};
  return read_tensor(onnx_source(model_, one)).item();
}

std::optional<std::vector<int64_t>> OnnxGraph::integers(std::string_view value) const {
  constexpr int64_t kMost = 4096;
  if (const OnnxNode* node = producer(behind(value)); node != nullptr && node->operation == "Constant") {
    const auto found = node->attributes.find("value_ints");
    if (found != node->attributes.end()) return found->second.integers;
  }
  const OnnxTensor* tensor = constant(value);
  if (tensor == nullptr || tensor->is_external || !is_integer_type(tensor->type)) return std::nullopt;
  int64_t count = 1;
  for (const int64_t size : tensor->dims) {
    if (size < 0 || size > kMost || (count *= size) > kMost) return std::nullopt;
  }
  const Tensor values = read_tensor(onnx_source(model_, *tensor), DType::i64);
  const auto span = values.span<int64_t>();
  return std::vector<int64_t>(span.begin(), span.end());
}

std::vector<std::optional<int64_t>> OnnxGraph::partial_integers(std::string_view value) const {
  std::vector<std::optional<int64_t>> result;
  const OnnxNode* node = producer(value);
  const bool joined = node != nullptr && node->operation == "Concat";
  constexpr size_t kMostParts = 64;
  const std::vector<std::string_view> parts =
      joined && node->inputs.size() <= kMostParts ? node->inputs : std::vector<std::string_view>{value};
  for (std::string_view part : parts) {
    // A number becomes a list of one on the way.
    if (const OnnxNode* made = producer(part);
        made != nullptr && made->operation == "Unsqueeze" && !made->inputs.empty()) {
      part = made->inputs[0];
    }
    if (const auto numbers = integers(part)) {
      result.insert(result.end(), numbers->begin(), numbers->end());
    } else {
      result.emplace_back(std::nullopt);
    }
  }
  return result;
}

std::optional<OnnxLinear> OnnxGraph::linear(const OnnxNode& node) const {
  const bool gemm = node.operation == "Gemm";
  if ((!gemm && node.operation != "MatMul") || node.inputs.size() < 2 || node.outputs.size() != 1) return std::nullopt;
  OnnxLinear result{.node = &node, .is_transposed = true, .output = node.outputs[0]};
  std::string_view weight = behind(node.inputs[1]);
  if (const OnnxNode* transpose = producer(weight); transpose != nullptr && transpose->operation == "Transpose") {
    const auto perm = transpose->attributes.find("perm");
    const bool swaps = perm == transpose->attributes.end() || perm->second.integers == std::vector<int64_t>{1, 0};
    if (!swaps || transpose->inputs.empty()) return std::nullopt;
    weight = transpose->inputs[0];
    result.is_transposed = false;
  }
  result.weight = constant(weight);
  if (result.weight == nullptr || result.weight->dims.size() != 2) return std::nullopt;
  if (gemm) {
    if (attribute(node, "transA", 0) != 0) unsupported(node, "it transposes its left operand");
    for (const char* factor : {"alpha", "beta"}) {
      const auto found = node.attributes.find(factor);
      if (found != node.attributes.end() && found->second.number.value_or(1) != 1)
        unsupported(node, "its alpha or beta is not 1");
    }
    if (attribute(node, "transB", 0) != 0) result.is_transposed = !result.is_transposed;
    if (node.inputs.size() > 2) result.bias = constant(node.inputs[2]);
    return result;
  }
  // The bias is added next, if there is one.
  for (const OnnxNode* add : consumers(result.output)) {
    if (add->operation != "Add" || add->inputs.size() != 2 || add->outputs.size() != 1) continue;
    for (const std::string_view operand : add->inputs) {
      const OnnxTensor* bias = constant(operand);
      if (bias == nullptr || bias->dims.size() != 1) continue;
      if (consumers(result.output).size() != 1) unsupported(node, "its product is used without the bias, too");
      result.bias = bias;
      result.output = add->outputs[0];
      return result;
    }
  }
  return result;
}

std::vector<OnnxLinear> OnnxGraph::linears_of(std::string_view value) const {
  std::vector<OnnxLinear> found;
  for (const OnnxNode* node : consumers(value)) {
    if (node->inputs.empty() || behind(node->inputs[0]) != behind(value)) continue;
    if (auto linear = this->linear(*node)) found.push_back(*linear);
  }
  return found;
}

int64_t OnnxGraph::attribute(const OnnxNode& node, std::string_view name, int64_t missing) const {
  const auto found = node.attributes.find(name);
  return found == node.attributes.end() ? missing : found->second.integer.value_or(missing);
}

void OnnxGraph::unsupported(const OnnxNode& node, std::string_view what) const {
  faults_.unsupported(
      fmt::format("the operation '{}' (node '{}'): {}", printable(node.operation), printable(node.name), what));
}

}  // namespace qing::nn
