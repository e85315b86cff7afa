#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>

#include <qing/nn/formats/onnx_encoder_parts.h>

namespace qing::nn {
namespace {

// The function is told from others by its values here.
constexpr std::array<double, 9> kSamples = {-4, -2.5, -1, -0.3, 0, 0.4, 1, 2, 3.5};
using Samples = std::array<double, kSamples.size()>;

double exact_gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double tanh_gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct KnownActivation {
  const char* name;  // in transformers
  double (*function)(double);
};
constexpr KnownActivation kKnownActivations[] = {{"gelu", exact_gelu},
                                                 {"gelu_new", tanh_gelu},
                                                 {"relu", [](double x) { return x > 0 ? x : 0.0; }},
                                                 {"silu", [](double x) { return x * exact_sigmoid(x); }},
                                                 {"quick_gelu", [](double x) { return x * exact_sigmoid(1.702 * x); }}};

std::optional<double> apply(const OnnxNode& node, double a, double b) {
  const std::string_view op = node.operation;
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return a / b;
  if (op == "Pow") return std::pow(a, b);
  return std::nullopt;
}

std::optional<double> apply(const OnnxNode& node, double x) {
  const std::string_view op = node.operation;
  if (op == "Erf") return std::erf(x);
  if (op == "Tanh") return std::tanh(x);
  if (op == "Sigmoid") return exact_sigmoid(x);
  if (op == "Relu") return x > 0 ? x : 0.0;
  if (op == "Gelu") {
    const auto approximate = node.attributes.find("approximate");
    return approximate != node.attributes.end() && approximate->second.text == "tanh" ? tanh_gelu(x) : exact_gelu(x);
  }
  return std::nullopt;
}

std::string name_of(const OnnxGraph& graph, const OnnxNode& node, const Samples& values) {
  constexpr double kTolerance = 1e-4;  // for constants in f16; GELU and its tanh form differ by 4e-4 at -2.5
  for (const KnownActivation& activation : kKnownActivations) {
    bool same = true;
    for (size_t i = 0; i < kSamples.size(); ++i) {
      const double expected = activation.function(kSamples[i]);
      same = same && std::abs(values[i] - expected) <= kTolerance;
    }
    if (same) return activation.name;
  }
  graph.unsupported(node, "the function before it is none of GELU, its approximations, ReLU and SiLU");
}

}  // namespace

OnnxActivation find_activation(const OnnxGraph& graph, const OnnxLinear& input) {
  std::map<std::string_view, Samples> known = {{input.output, kSamples}};
  const auto& nodes = graph.model().nodes;
  for (size_t i = graph.index_of(*input.node) + 1; i < nodes.size(); ++i) {
    const OnnxNode& node = nodes[i];
    if (node.outputs.size() != 1 || node.inputs.empty() || node.inputs.size() > 2) continue;
    if (known.count(node.outputs[0]) > 0 || graph.behind(node.outputs[0]) != node.outputs[0]) continue;
    const auto value_of = [&](size_t k) {
      const auto found = known.find(graph.behind(node.inputs[k]));
      return found == known.end() ? nullptr : &found->second;
    };
    const Samples *first = value_of(0), *second = node.inputs.size() > 1 ? value_of(1) : nullptr;
    if ((first == nullptr && second == nullptr) || node.operation == "Shape") continue;
    if (first != nullptr) {
      if (auto linear = graph.linear(node)) return {name_of(graph, node, *first), *linear};
    }
    const auto constant = [&](size_t k, const Samples* samples) -> std::optional<double> {
      return samples == nullptr && k < node.inputs.size() ? graph.scalar(node.inputs[k]) : std::nullopt;
    };
    const auto left = constant(0, first), right = constant(1, second);
    Samples values{};
    for (size_t s = 0; s < kSamples.size(); ++s) {
      std::optional<double> value;
      if (node.inputs.size() == 1) {
        value = apply(node, (*first)[s]);
      } else if ((first != nullptr || left) && (second != nullptr || right)) {
        value = apply(node, first != nullptr ? (*first)[s] : *left, second != nullptr ? (*second)[s] : *right);
      }
      if (!value) graph.unsupported(node, "it is not known in an activation");
      values[s] = *value;
    }
    known[node.outputs[0]] = values;
  }
  graph.unsupported(*input.node, "no second linear operation follows it");
}

}  // namespace qing::nn
