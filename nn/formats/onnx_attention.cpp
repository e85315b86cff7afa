#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <qing/nn/formats/onnx_encoder_parts.h>

namespace qing::nn {
namespace {

using Order = std::vector<int64_t>;

// What is known of a value between the projections and the output.
struct Flow {
  enum class Stage : uint8_t { projected, scores, weights, context, condition };
  Stage stage = Stage::projected;
  size_t projection = 0;  // which one
  Order order = {};       // of the dimensions batch, token, head, element; empty before there are heads
  bool joined = false;    // whether the first two of them are one dimension
  double factor = 1;
};

constexpr double kTolerance = 1e-3;  // of constants that an f16 model rounds

class Attention {
 public:
  Attention(const OnnxGraph& graph, const std::vector<OnnxLinear>& projections, int64_t width,
            std::set<std::string_view>& masks)
      : graph_(graph), projections_(projections), width_(width), masks_(masks) {}

  OnnxAttention find() {
    size_t first = graph_.model().nodes.size();
    for (size_t i = 0; i < projections_.size(); ++i) {
      flows_[projections_[i].output] = {.projection = i};
      first = std::min(first, graph_.index_of(*projections_[i].node));
    }
    const auto& nodes = graph_.model().nodes;
    for (size_t i = first; i < nodes.size(); ++i) {
      if (auto output = step(nodes[i])) return finish(*output);
    }
    graph_.unsupported(*projections_[0].node, "no attention with an output projection follows it");
  }

 private:
  [[noreturn]] void fail(const OnnxNode& node, std::string_view what) const { graph_.unsupported(node, what); }

  OnnxAttention finish(const OnnxLinear& output) const {
    if (heads_ == 0 || !query_ || !value_) graph_.unsupported(*output.node, "there is no attention before it");
    return {projections_[*query_], projections_[*key_], projections_[*value_], output, heads_};
  }

  const Flow* flow(std::string_view value) const {
    const auto found = flows_.find(graph_.behind(value));
    return found == flows_.end() ? nullptr : &found->second;
  }

  // The linear operation that takes the context, once it is reached.
  std::optional<OnnxLinear> step(const OnnxNode& node) {
    std::vector<const Flow*> given;
    for (const std::string_view input : node.inputs) given.push_back(flow(input));
    if (std::ranges::all_of(given, [](const Flow* f) { return f == nullptr; })) return std::nullopt;
    if (node.operation == "Shape" || node.outputs.empty()) return std::nullopt;
    if (graph_.behind(node.outputs[0]) != node.outputs[0]) return std::nullopt;  // changes nothing
    if (flow(node.outputs[0]) != nullptr) return std::nullopt;  // the bias of a projection, which was followed
    if (given[0] != nullptr) {
      if (auto linear = graph_.linear(node)) {
        const bool ends = given[0]->stage == Flow::Stage::context && given[0]->order.empty();
        if (!ends) fail(node, "its operand is not the joined heads of attention");
        return linear;
      }
    }
    flows_[node.outputs[0]] = next(node, given);
    return std::nullopt;
  }

  Flow next(const OnnxNode& node, const std::vector<const Flow*>& given) {
    const std::string_view op = node.operation;
    if (op == "MatMul") return product(node, given);
    if (op == "Softmax") return softmax(node, given);
    if (op == "Reshape") return reshape(node, given);
    if (op == "Transpose") return transpose(node, given);
    if (op == "Mul" || op == "Div") return scale(node, given);
    if (op == "Add" || op == "Where" || op == "Max") return mask(node, given);
    if (op == "IsNaN" && given[0] != nullptr && given[0]->stage == Flow::Stage::weights) {
      return {.stage = Flow::Stage::condition};
    }
    fail(node, "it is not known in an encoder's attention");
  }

  Flow product(const OnnxNode& node, const std::vector<const Flow*>& given) {
    if (given.size() != 2 || given[0] == nullptr || given[1] == nullptr) fail(node, "a product with another value");
    const Flow &left = *given[0], &right = *given[1];
    if (right.stage != Flow::Stage::projected) fail(node, "its right operand is no projection");
    if (left.stage == Flow::Stage::projected) {
      if (query_ || left.projection == right.projection) fail(node, "a second product of projections");
      if (left.order != Order{0, 2, 1, 3} || right.order != Order{0, 2, 3, 1} || left.joined || right.joined)
        fail(node, "its heads do not lie side by side");
      query_ = left.projection;
      key_ = right.projection;
      return {.stage = Flow::Stage::scores, .factor = left.factor * right.factor};
    }
    const bool weighs = left.stage == Flow::Stage::weights && right.order == Order{0, 2, 1, 3} && !right.joined;
    if (!weighs || value_ || right.projection == *query_ || right.projection == *key_) {
      fail(node, "it is neither the scores nor the weighted sum of attention");
    }
    if (std::abs(right.factor - 1) > kTolerance) fail(node, "the values are scaled");
    value_ = right.projection;
    return {.stage = Flow::Stage::context, .order = {0, 2, 1, 3}};
  }

  Flow softmax(const OnnxNode& node, const std::vector<const Flow*>& given) {
    const int64_t axis = graph_.attribute(node, "axis", -1);
    if (given[0]->stage != Flow::Stage::scores || (axis != -1 && axis != 3)) fail(node, "it is not over the keys");
    const double expected = 1 / std::sqrt(static_cast<double>(width_) / static_cast<double>(heads_));
    if (std::abs(given[0]->factor / expected - 1) > kTolerance) {
      fail(node, fmt::format("the scores are scaled by {:.6g}, not by 1 / sqrt(width of a head), {:.6g}",
                             given[0]->factor, expected));
    }
    return {.stage = Flow::Stage::weights};
  }

  Flow reshape(const OnnxNode& node, const std::vector<const Flow*>& given) {
    if (given[0] == nullptr || node.inputs.size() < 2) fail(node, "it has no shape");
    Flow result = *given[0];
    const auto shape = graph_.partial_integers(node.inputs[1]);
    if (result.stage == Flow::Stage::context) {
      if (keeps_heads(shape) && result.order == Order{0, 2, 1, 3}) return result;
      if (result.order != Order{0, 1, 2, 3}) fail(node, "it joins heads that do not lie side by side");
      result.order.clear();  // the heads are joined again
      return result;
    }
    if (result.stage == Flow::Stage::projected && !result.order.empty()) return joined_or_parted(node, result);
    if (result.stage != Flow::Stage::projected) fail(node, "it is not known there");
    if (shape.size() != 4) fail(node, "it does not give batch, token, head, element");
    // A size of -1 follows from the others.
    int64_t heads = shape[2].value_or(-1), elements = shape[3].value_or(-1);
    if (heads < 1 && elements > 0 && width_ % elements == 0) heads = width_ / elements;
    if (elements < 1 && heads > 0 && width_ % heads == 0) elements = width_ / heads;
    const bool fits = heads > 0 && elements > 0 && width_ % heads == 0 && width_ / heads == elements;
    if (!fits) fail(node, "its shape does not tell the number of heads");
    if (heads_ != 0 && heads_ != heads) fail(node, fmt::format("{} heads, where others have {}", heads, heads_));
    heads_ = heads;
    result.order = {0, 1, 2, 3};
    return result;
  }

  // PyTorch's newer exporter joins batch and head, transposes the matrices and parts batch and head again.
  Flow joined_or_parted(const OnnxNode& node, Flow value) const {
    const Order sizes = dimensions(node.inputs[1], 0);
    const bool joins = !value.joined && sizes == Order{-1, value.order[2], value.order[3]};
    if (!joins && !(value.joined && sizes == value.order)) fail(node, "it is not known there");
    value.joined = joins;
    return value;
  }

  // The dimensions of values in heads whose sizes these are, found by the shapes that the sizes were taken from. A
  // constant size of -1 stays -1. Empty if a size has another source.
  Order dimensions(std::string_view sizes, int depth) const {
    if (const auto constant = graph_.integers(sizes)) return *constant == Order{-1} ? *constant : Order();
    const OnnxNode* node = graph_.producer(graph_.behind(sizes));
    if (node == nullptr || node->inputs.empty() || depth > 1) return {};
    if (node->operation == "Concat") {
      Order all;
      for (const std::string_view part : node->inputs) {
        const Order some = dimensions(part, depth + 1);
        if (some.empty()) return {};
        all.insert(all.end(), some.begin(), some.end());
      }
      return all;
    }
    const OnnxNode* shape = graph_.producer(graph_.behind(node->inputs[0]));
    if (node->operation != "Slice" || node->inputs.size() != 3 || shape == nullptr || shape->operation != "Shape") {
      return {};
    }
    const Flow* of = flow(shape->inputs[0]);
    const auto begin = graph_.integers(node->inputs[1]), end = graph_.integers(node->inputs[2]);
    const bool whole = graph_.attribute(*shape, "start", 0) == 0 && shape->attributes.count("end") == 0;
    if (of == nullptr || of->order.empty() || of->joined || !whole || !begin || !end) return {};
    if (begin->size() != 1 || end->size() != 1) return {};
    const auto count = static_cast<int64_t>(of->order.size());
    const auto place = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? std::max(at, -count) + count : at, 0, count);
    };
    const int64_t first = place(begin->front()), last = place(end->front());
    return first < last ? Order(of->order.begin() + first, of->order.begin() + last) : Order();
  }

  // Whether the shape is batch, head, token, element, as it was.
  bool keeps_heads(const std::vector<std::optional<int64_t>>& shape) const {
    return shape.size() == 4 && shape[1] && (*shape[1] == -1 || *shape[1] == heads_) &&
           shape[3].value_or(width_ / heads_) == width_ / heads_;
  }

  Flow transpose(const OnnxNode& node, const std::vector<const Flow*>& given) const {
    Flow result = *given[0];
    const auto perm = node.attributes.find("perm");
    if (result.joined && perm != node.attributes.end() && perm->second.integers == Order{0, 2, 1}) {
      std::swap(result.order[2], result.order[3]);
      return result;
    }
    if (result.order.empty() || result.joined || perm == node.attributes.end() ||
        perm->second.integers.size() != result.order.size()) {
      fail(node, "it does not transpose the dimensions of heads");
    }
    for (size_t i = 0; i < result.order.size(); ++i) {
      const int64_t from = perm->second.integers[i];
      if (from < 0 || from >= static_cast<int64_t>(result.order.size())) fail(node, "it has no such dimension");
      result.order[i] = given[0]->order[static_cast<size_t>(from)];
    }
    return result;
  }

  Flow scale(const OnnxNode& node, const std::vector<const Flow*>& given) {
    if (given.size() != 2 || (given[0] != nullptr) == (given[1] != nullptr))
      fail(node, "it has not exactly one operand of attention");
    const bool divides = node.operation == "Div";
    if (divides && given[0] == nullptr) fail(node, "it divides by a value of attention");
    const size_t other = given[0] != nullptr ? 1 : 0;
    const auto factor = number(node.inputs[other], 0);
    const Flow& value = *given[1 - other];
    const bool known = value.stage == Flow::Stage::projected || value.stage == Flow::Stage::scores;
    if (!factor || *factor == 0 || !known) fail(node, "its factor is no constant");
    Flow result = value;
    result.factor = divides ? result.factor / *factor : result.factor * *factor;
    return result;
  }

  // A number that may be computed from the width of a head.
  std::optional<double> number(std::string_view value, int depth) const {
    constexpr int kDeepest = 12;
    if (const auto constant = graph_.scalar(value)) return constant;
    const OnnxNode* node = graph_.producer(graph_.behind(value));
    if (node == nullptr || depth == kDeepest || node->inputs.empty()) return std::nullopt;
    const std::string_view op = node->operation;
    const auto operand = [&](size_t i) {
      return i < node->inputs.size() ? number(node->inputs[i], depth + 1) : std::nullopt;
    };
    if (op == "Sqrt" || op == "Cast" || op == "Reciprocal" || op == "Squeeze" || op == "Unsqueeze" || op == "Reshape") {
      const auto x = operand(0);
      if (!x) return std::nullopt;
      return op == "Sqrt" ? std::sqrt(*x) : op == "Reciprocal" ? 1 / *x : *x;
    }
    if (op == "Div" || op == "Mul") {
      const auto a = operand(0), b = operand(1);
      if (!a || !b) return std::nullopt;
      return op == "Div" ? *a / *b : *a * *b;
    }
    if ((op == "Slice" || op == "Gather") && node->inputs.size() > 1) {  // the last size of a value in heads
      const OnnxNode* shape = graph_.producer(graph_.behind(node->inputs[0]));
      const auto at = graph_.integers(node->inputs[1]);
      const bool last =
          shape != nullptr && shape->operation == "Shape" && at && at->size() == 1 && ((*at)[0] == -1 || (*at)[0] == 3);
      const Flow* of = last ? flow(shape->inputs[0]) : nullptr;
      if (of != nullptr && !of->order.empty() && of->order.back() == 3) {
        return static_cast<double>(width_) / static_cast<double>(heads_);
      }
    }
    return std::nullopt;
  }

  // Numbers that are added to the scores or replace them depend on the mask alone.
  Flow mask(const OnnxNode& node, const std::vector<const Flow*>& given) {
    const Flow* value = nullptr;
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i] == nullptr) {
        check_mask(node, node.inputs[i]);
      } else if (given[i]->stage != Flow::Stage::condition) {
        if (value != nullptr) fail(node, "both its values are of attention");
        value = given[i];
      }
    }
    const bool known = value != nullptr && (value->stage == Flow::Stage::scores ||
                                            (value->stage == Flow::Stage::weights && node.operation == "Where"));
    if (!known) fail(node, "it is not known there");
    return *value;
  }

  void check_mask(const OnnxNode& user, std::string_view root) {
    constexpr std::string_view kKnown[] = {"Unsqueeze",
                                           "Squeeze",
                                           "Cast",
                                           "Sub",
                                           "Mul",
                                           "Add",
                                           "Div",
                                           "Neg",
                                           "Where",
                                           "Expand",
                                           "Shape",
                                           "Gather",
                                           "Concat",
                                           "ConstantOfShape",
                                           "Constant",
                                           "Equal",
                                           "Not",
                                           "And",
                                           "Or",
                                           "Slice",
                                           "Reshape",
                                           "Identity",
                                           "Range",
                                           "Min",
                                           "Max",
                                           "Greater",
                                           "GreaterOrEqual",
                                           "Less",
                                           "LessOrEqual",
                                           "Flatten",
                                           "GatherND",
                                           "Transpose",
                                           "Clip",
                                           "Tile"};
    std::vector<std::string_view> open = {root};
    while (!open.empty()) {
      const std::string_view value = open.back();
      open.pop_back();
      if (value.empty() || !masks_.insert(value).second || graph_.is_input(value)) continue;
      if (const OnnxTensor* constant = graph_.constant(value)) {
        check_mask_constant(user, *constant);
        continue;
      }
      const OnnxNode* node = graph_.producer(value);
      if (node == nullptr) continue;
      if (std::ranges::find(kKnown, node->operation) == std::end(kKnown)) {
        fail(*node, "it is not known in the mask of an encoder's attention");
      }
      if (node->operation != "Shape") open.insert(open.end(), node->inputs.begin(), node->inputs.end());
    }
  }

  // A table of numbers would be a bias of relative positions.
  void check_mask_constant(const OnnxNode& user, const OnnxTensor& constant) const {
    constexpr int32_t kIntegers[] = {6, 7, 9};
    if (std::ranges::find(kIntegers, constant.type) != std::end(kIntegers)) return;
    if (std::ranges::any_of(constant.dims, [](int64_t size) { return size != 1; })) {
      fail(user, fmt::format("the table '{}' is added to the scores", printable(constant.name)));
    }
  }

  const OnnxGraph& graph_;
  const std::vector<OnnxLinear>& projections_;
  const int64_t width_;
  std::set<std::string_view>& masks_;
  std::map<std::string_view, Flow> flows_;
  std::optional<size_t> query_, key_, value_;
  int64_t heads_ = 0;
};

}  // namespace

OnnxAttention find_attention(const OnnxGraph& graph, const std::vector<OnnxLinear>& projections, int64_t width,
                             std::set<std::string_view>& masks) {
  return Attention(graph, projections, width, masks).find();
}

}  // namespace qing::nn
