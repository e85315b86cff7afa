#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <qing/nn/formats/onnx_encoder_parts.h>

namespace qing::nn {
namespace {

const OnnxNode* consumer_of(const OnnxGraph& graph, std::string_view value, std::string_view operation) {
  const auto& nodes = graph.consumers(value);
  const auto found = std::ranges::find(nodes, operation, &OnnxNode::operation);
  return found == nodes.end() || (*found)->outputs.empty() ? nullptr : *found;
}

bool takes(const OnnxGraph& graph, const OnnxNode& node, size_t input, std::string_view value) {
  return node.inputs.size() > input && graph.behind(node.inputs[input]) == graph.behind(value);
}

// Over the last of three dimensions, which stays as one of size 1.
bool is_mean_of_rows(const OnnxGraph& graph, const OnnxNode& node) {
  std::vector<int64_t> axes;
  if (const auto given = node.attributes.find("axes"); given != node.attributes.end()) {
    axes = given->second.integers;
  } else if (node.inputs.size() > 1) {
    axes = graph.integers(node.inputs[1]).value_or(axes);
  }
  return axes.size() == 1 && (axes[0] == -1 || axes[0] == 2) && graph.attribute(node, "keepdims", 1) == 1;
}

// (x - mean) / sqrt(mean((x - mean)^2) + eps) * scale + bias
std::optional<OnnxNorm> find_composed_norm(const OnnxGraph& graph, std::string_view x) {
  const OnnxNode* mean = consumer_of(graph, x, "ReduceMean");
  if (mean == nullptr || !is_mean_of_rows(graph, *mean)) return std::nullopt;
  const auto is_centred = [&](std::string_view value) {
    const OnnxNode* node = graph.producer(graph.behind(value));
    return node != nullptr && node->operation == "Sub" && takes(graph, *node, 0, x) &&
           takes(graph, *node, 1, mean->outputs[0]);
  };
  for (const OnnxNode* centre : graph.consumers(mean->outputs[0])) {
    if (centre->outputs.empty() || !is_centred(centre->outputs[0])) continue;
    const std::string_view centred = centre->outputs[0];
    const OnnxNode* square = consumer_of(graph, centred, "Pow");
    if (square == nullptr || square->inputs.size() != 2 || graph.scalar(square->inputs[1]) != 2) {
      square = consumer_of(graph, centred, "Mul");
      const bool itself = square != nullptr && takes(graph, *square, 0, centred) && takes(graph, *square, 1, centred);
      if (!itself) continue;
    }
    const OnnxNode* variance = consumer_of(graph, square->outputs[0], "ReduceMean");
    if (variance == nullptr || !is_mean_of_rows(graph, *variance)) continue;
    const OnnxNode* add = consumer_of(graph, variance->outputs[0], "Add");
    if (add == nullptr || add->inputs.size() != 2) continue;
    const auto eps = graph.scalar(add->inputs[takes(graph, *add, 0, variance->outputs[0]) ? 1 : 0]);
    const OnnxNode* root = consumer_of(graph, add->outputs[0], "Sqrt");
    const OnnxNode* quotient = root == nullptr ? nullptr : consumer_of(graph, root->outputs[0], "Div");
    const bool whole = eps && quotient != nullptr && quotient->inputs.size() == 2 && is_centred(quotient->inputs[0]);
    if (!whole) continue;
    const OnnxNode* scaled = consumer_of(graph, quotient->outputs[0], "Mul");
    if (scaled == nullptr || scaled->inputs.size() != 2) continue;
    const OnnxNode* moved = consumer_of(graph, scaled->outputs[0], "Add");
    if (moved == nullptr || moved->inputs.size() != 2) continue;
    const auto other = [&](const OnnxNode& node, std::string_view value) {
      return graph.constant(node.inputs[takes(graph, node, 0, value) ? 1 : 0]);
    };
    const OnnxNorm norm{other(*scaled, quotient->outputs[0]), other(*moved, scaled->outputs[0]), *eps,
                        moved->outputs[0]};
    if (norm.scale != nullptr && norm.bias != nullptr) return norm;
  }
  return std::nullopt;
}

class EmbeddingsMatch {
 public:
  explicit EmbeddingsMatch(const OnnxGraph& graph) : graph_(graph) {}

  OnnxEmbeddings find() {
    const OnnxNode* words = find_words();
    found_.words = graph_.constant(words->inputs[0]);
    std::string_view sum = words->outputs[0];
    constexpr int kMostSums = 4;
    for (int i = 0; i < kMostSums; ++i) {
      if (const auto norm = find_norm(graph_, sum)) {
        found_.norm = *norm;
        if (found_.positions == nullptr) graph_.unsupported(*words, "no embeddings of positions are added");
        return found_;
      }
      const OnnxNode* add = consumer_of(graph_, sum, "Add");
      if (add == nullptr || add->inputs.size() != 2) break;
      add_table(add->inputs[takes(graph_, *add, 0, sum) ? 1 : 0], 0);
      sum = add->outputs[0];
    }
    graph_.unsupported(*words, "its embeddings are not added up and normalised");
  }

 private:
  bool is_table(const OnnxNode& node) const {
    if (node.operation != "Gather" || node.inputs.size() != 2 || node.outputs.empty()) return false;
    const OnnxTensor* table = graph_.constant(node.inputs[0]);
    return table != nullptr && table->dims.size() == 2 && graph_.attribute(node, "axis", 0) == 0;
  }

  const OnnxNode* find_words() const {
    for (const OnnxNode& node : graph_.model().nodes) {
      if (!is_table(node)) continue;
      const std::string_view root = root_of(node.inputs[1]);
      if (graph_.is_input(root) && !is_types(root) && !is_positions(root)) return &node;
    }
    graph_.faults().unsupported(
        "no embeddings are looked up by an input of ids: it is no text encoder, or its embeddings are not plain");
  }

  static bool is_types(std::string_view input) {
    return input.find("token_type") != input.npos || input.find("segment") != input.npos;
  }
  static bool is_positions(std::string_view input) { return input.find("position") != input.npos; }

  // The value that the indices are taken from.
  std::string_view root_of(std::string_view value) const {
    constexpr int kDeepest = 32;
    for (int i = 0; i < kDeepest; ++i) {
      value = graph_.behind(value);
      const OnnxNode* node = graph_.producer(value);
      if (node == nullptr || node->inputs.empty()) return value;
      constexpr std::string_view kSame[] = {"Cast",  "Unsqueeze", "Squeeze",       "Expand",
                                            "Slice", "Reshape",   "GatherElements"};
      if (std::ranges::find(kSame, node->operation) == std::end(kSame)) return value;
      if (node->operation == "Slice" && node->inputs.size() > 1) {
        const auto starts = graph_.integers(node->inputs[1]);
        if (starts && std::ranges::any_of(*starts, [](int64_t start) { return start != 0; })) {
          graph_.unsupported(*node, "the positions or types do not begin at 0");
        }
      }
      value = node->inputs[0];
    }
    return value;
  }

  void add_table(std::string_view value, int depth) {
    const OnnxNode* node = graph_.producer(graph_.behind(value));
    constexpr int kDeepest = 4;
    if (node == nullptr || depth == kDeepest) {
      graph_.faults().unsupported(fmt::format("'{}' is added to the embeddings of the ids", printable(value)));
    }
    if (node->operation == "Add" && node->inputs.size() == 2) {
      add_table(node->inputs[0], depth + 1);
      return add_table(node->inputs[1], depth + 1);
    }
    if (!is_table(*node)) graph_.unsupported(*node, "it is added to the embeddings of the ids");
    const OnnxTensor* table = graph_.constant(node->inputs[0]);
    const OnnxTensor*& place = is_type_index(*node) ? found_.types : found_.positions;
    if (place != nullptr) graph_.unsupported(*node, "a second table of the same kind is added");
    place = table;
  }

  // Whether a table is looked up by types of tokens and not by positions.
  bool is_type_index(const OnnxNode& gather) const {
    const std::string_view root = root_of(gather.inputs[1]);
    if (graph_.is_input(root)) {
      if (is_types(root)) return true;
      if (is_positions(root)) return false;
      graph_.unsupported(gather, fmt::format("a second table is looked up by '{}'", printable(root)));
    }
    if (const auto numbers = graph_.integers(root); numbers && !numbers->empty()) {
      if (std::ranges::all_of(*numbers, [](int64_t number) { return number == 0; }) && numbers->size() > 1) return true;
      for (size_t i = 0; i < numbers->size(); ++i) {
        if ((*numbers)[i] != static_cast<int64_t>(i)) graph_.unsupported(gather, "its positions are not 0, 1, 2, ...");
      }
      return false;
    }
    const OnnxNode* node = graph_.producer(root);
    if (node != nullptr && node->operation == "ConstantOfShape") {
      const auto value = node->attributes.find("value");
      if (value == node->attributes.end()) return true;
    }
    if (node != nullptr && node->operation == "Range" && node->inputs.size() == 3 &&
        graph_.scalar(node->inputs[0]) == 0 && graph_.scalar(node->inputs[2]) == 1) {
      return false;
    }
    if (node != nullptr) graph_.unsupported(*node, "positions or types are computed by it");
    graph_.unsupported(gather, "nothing tells what it is looked up by");
  }

  const OnnxGraph& graph_;
  OnnxEmbeddings found_{};
};

}  // namespace

std::optional<OnnxNorm> find_norm(const OnnxGraph& graph, std::string_view value) {
  const OnnxNode* node = consumer_of(graph, value, "LayerNormalization");
  if (node == nullptr || !takes(graph, *node, 0, value)) return find_composed_norm(graph, value);
  const int64_t axis = graph.attribute(*node, "axis", -1);
  if (axis != -1 && axis != 2) graph.unsupported(*node, fmt::format("it is over axis {}, not the last one", axis));
  constexpr float kDefaultEps = 1e-5F;
  const auto eps = node->attributes.find("epsilon");
  const OnnxNorm norm{node->inputs.size() > 1 ? graph.constant(node->inputs[1]) : nullptr,
                      node->inputs.size() > 2 ? graph.constant(node->inputs[2]) : nullptr,
                      eps == node->attributes.end() ? kDefaultEps : eps->second.number.value_or(kDefaultEps),
                      node->outputs[0]};
  if (norm.scale == nullptr || norm.bias == nullptr) graph.unsupported(*node, "its scale or bias is no constant");
  return norm;
}

OnnxEmbeddings find_embeddings(const OnnxGraph& graph) { return EmbeddingsMatch(graph).find(); }

}  // namespace qing::nn
