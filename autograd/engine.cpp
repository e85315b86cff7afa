#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <qing/autograd/anomaly.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/node.h>
#include <qing/autograd/training_watch.h>
#include <qing/tensor/defined.h>
#include <qing/tensor/ops/apply.h>

namespace qing {
namespace {

thread_local bool recording_enabled = true;
thread_local bool inference = false;

uint64_t next_walk() {
  static std::atomic<uint64_t> walks{0};
  return ++walks;
}

// A leaf has nothing to run, unless a hook or the caller wants its gradient.
bool has_work(const Node& node, const Walk& walk) {
  return !node.leaf || !node.hooks.empty() || walk.wanted.contains(&node);
}

// Every node with work at or below the root, by descending sequence number.
std::vector<Node*> nodes_below(Node& root, const Walk& walk) {
  std::vector<Node*> found = {&root};
  root.visit = walk.id;
  for (size_t next = 0; next < found.size(); ++next) {
    for (const auto& input : found[next]->inputs) {
      if (input == nullptr || input->visit == walk.id || !has_work(*input, walk)) continue;
      input->visit = walk.id;
      found.push_back(input.get());
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Node* a, const Node* b) { return a->sequence_number > b->sequence_number; });
  return found;
}

// Whether the gradient is passed on through this node. In a capturing walk, a wanted node may be the last one.
bool passes_on(const Node& node, const Walk& walk) {
  if (node.leaf) return false;
  return !walk.capture || std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::shared_ptr<Node>& input) {
    return input != nullptr && input->useful == walk.id;
  });
}

// Drops the nodes that no wanted gradient has to pass.
void keep_useful(std::vector<Node*>& order, const Walk& walk) {
  for (auto it = order.rbegin(); it != order.rend(); ++it) {  // inputs first
    Node& node = **it;
    if (passes_on(node, walk) || walk.wanted.contains(&node)) node.useful = walk.id;
  }
  std::erase_if(order, [&](const Node* node) { return node->useful != walk.id; });
}

Tensor seed_of(const Tensor& root, const Tensor& gradient, const char* op) {
  if (!gradient.defined()) {
    if (root.numel() != 1) {
      throw AutogradError(
          fmt::format("{}: the root has shape {}; pass the option `gradient`, or reduce it to one element", op,
                      to_string(root.shape())));
    }
    return Tensor::full(root.shape(), 1, root.dtype());
  }
  if (gradient.shape() != root.shape()) {
    throw ShapeError(fmt::format("{}: the gradient has shape {}, the root {}", op, to_string(gradient.shape()),
                                 to_string(root.shape())));
  }
  if (gradient.dtype() != root.dtype()) {
    throw DTypeError(
        fmt::format("{}: the gradient is {}, the root {}", op, name_of(gradient.dtype()), name_of(root.dtype())));
  }
  return gradient;
}

void check_walkable(const std::vector<Node*>& order, const Walk& walk, const char* op) {
  for (const Node* node : order) {
    if (!passes_on(*node, walk)) continue;
    if (node->released) {
      throw AutogradError(
          fmt::format("{}: an earlier backward pass through {} freed the graph; pass retain_graph to that pass if a "
                      "second one follows",
                      op, node->op));
    }
    if (walk.create_graph && node->differentiable == Order::first) {
      throw AutogradError(
          fmt::format("{}: {} has no second derivative, so create_graph is not possible", op, node->op));
    }
  }
}

Tensor through_hooks(const Node& node, Tensor gradient) {
  const auto hooks = node.hooks;  // a hook may remove itself
  for (const auto& [id, hook] : hooks) {
    Tensor replaced = hook(gradient);
    if (!replaced.defined()) continue;
    if (replaced.shape() != node.shape) {
      throw ShapeError(fmt::format("hook of {}: gave a gradient of shape {}, needs {}", node.op,
                                   to_string(replaced.shape()), to_string(node.shape)));
    }
    if (replaced.dtype() != node.dtype) {
      throw DTypeError(fmt::format("hook of {}: gave a gradient of {}, needs {}", node.op, name_of(replaced.dtype()),
                                   name_of(node.dtype)));
    }
    gradient = std::move(replaced);
  }
  return gradient;
}

// Adds to the gradient that grad() returns.
void accumulate(Node& node, const Tensor& gradient) {
  GradSlot& into = node.grad;
  if (into.valid) {
    if (into.shared) into.tensor = into.tensor.clone();
    add_into(into.tensor, gradient);
  } else {
    if (!into.tensor.defined() || into.shared) into.tensor = Tensor::empty(node.shape, node.dtype);
    into.tensor.copy_from(gradient);
  }
  into.valid = true;
  into.shared = false;
  into.rows.reset();
}

void check_inputs(const Node& node) {
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Node* input = node.inputs[i].get();
    if (input == nullptr) continue;
    const GradSlot& slot = input->pending.valid ? input->pending : input->grad;
    if (slot.valid) check_backward(node.op, i, slot.tensor);
  }
}

void run(Node& node, Walk& walk, bool retain_graph) {
  const bool on = passes_on(node, walk);
  GradSlot pending = std::exchange(node.pending, {});
  if (pending.valid) {
    Tensor dy = walk.create_graph ? pending.tensor : pending.tensor.contiguous();
    if (!node.hooks.empty()) dy = through_hooks(node, std::move(dy));
    if (!walk.create_graph) dy = dy.contiguous();
    if (!walk.capture && (node.leaf || node.retain)) accumulate(node, dy);
    if (const auto wanted = walk.wanted.find(&node); wanted != walk.wanted.end()) wanted->second = dy;
    if (on) {
      GradSink sink(node, walk);
      node.backward(dy, sink);
      if (anomaly_mode()) check_inputs(node);
    }
  }
  if (!retain_graph && on) {
    node.backward = nullptr;
    node.released = true;
  }
}

// Tells when the gradients of leaves are complete.
class LeafNews {
 public:
  LeafNews() = default;
  LeafNews(const std::vector<Node*>& order, const BackwardOptions& options) : tell_(options.on_leaf) {
    if (!tell_) return;
    std::unordered_map<const Node*, size_t> last;  // one more than the position of the last node that adds to the leaf
    size_t checkpoint = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      for (const auto& input : order[i]->inputs) {
        if (input != nullptr && input->leaf) last[input.get()] = i + 1;
      }
      if (order[i]->leaf) last[order[i]] = i + 1;
      if (order[i]->op == std::string_view("checkpoint")) checkpoint = i + 1;
    }
    for (size_t leaf = 0; leaf < options.leaves.size(); ++leaf) {
      const auto found = last.find(node_of(options.leaves[leaf]).get());
      turns_.emplace_back(std::max(checkpoint, found != last.end() ? found->second : 0), leaf);
    }
    std::sort(turns_.begin(), turns_.end());
  }
  // After `nodes` nodes of the walk have run.
  void after(size_t nodes) {
    for (; next_ < turns_.size() && turns_[next_].first <= nodes; ++next_) tell_(turns_[next_].second);
  }

 private:
  std::function<void(size_t)> tell_;
  std::vector<std::pair<size_t, size_t>> turns_;  // the number of nodes that run before, and the leaf
  size_t next_ = 0;
};

void run_all(const std::vector<Node*>& order, Walk& walk, bool retain_graph, LeafNews news) {
  try {
    news.after(0);
    // The root's handle keeps the nodes alive: releasing frees their saved tensors, not the nodes.
    for (size_t i = 0; i < order.size(); ++i) {
      run(*order[i], walk, retain_graph);
      news.after(i + 1);
    }
  } catch (...) {
    // A failed walk must leave no partial sums behind.
    for (Node* node : order) {
      node->pending = {};
      for (const auto& input : node->inputs) {
        if (input != nullptr) input->pending = {};
      }
    }
    throw;
  }
}

std::shared_ptr<Node> start_of(const Tensor& root, const char* op) {
  check_defined(root, op);
  std::shared_ptr<Node> start = node_of(root);
  if (start == nullptr) {
    throw AutogradError(
        fmt::format("{}: nothing was recorded for this tensor; no input required a gradient, or it was "
                    "computed under NoGradGuard",
                    op));
  }
  return start;
}

}  // namespace

bool grad_enabled() { return recording_enabled; }
bool inference_mode() { return inference; }
NoGradGuard::NoGradGuard() : previous_(std::exchange(recording_enabled, false)) {}
NoGradGuard::~NoGradGuard() { recording_enabled = previous_; }
EnableGradGuard::EnableGradGuard() : previous_(std::exchange(recording_enabled, !inference)) {}
EnableGradGuard::~EnableGradGuard() { recording_enabled = previous_; }
InferenceGuard::InferenceGuard() : previous_(std::exchange(inference, true)) {}
InferenceGuard::~InferenceGuard() { inference = previous_; }

void backward(const Tensor& root, const BackwardOptions& options) {
  const std::shared_ptr<Node> start = start_of(root, "backward");
  const Tensor seed = seed_of(root, options.gradient, "backward");
  Walk walk{.id = next_walk()};
  const std::vector<Node*> order = nodes_below(*start, walk);
  check_walkable(order, walk, "backward");
  if (watching_training()) note_walk(order);
  start->pending = {seed.alias(), true, true};
  const NoGradGuard guard;
  run_all(order, walk, options.retain_graph, LeafNews(order, options));
}

std::vector<Tensor> gradients(const Tensor& root, const std::vector<Tensor>& inputs, const GradientsOptions& options) {
  constexpr const char* op = "gradients";
  const std::shared_ptr<Node> start = start_of(root, op);
  const Tensor seed = seed_of(root, options.gradient, op);
  Walk walk{.id = next_walk(), .create_graph = options.create_graph, .capture = true};
  std::vector<const Node*> nodes;
  for (size_t i = 0; i < inputs.size(); ++i) {
    nodes.push_back(node_of(inputs[i]).get());
    if (nodes.back() == nullptr) {
      throw AutogradError(
          fmt::format("{}: input {} of shape {} requires no gradient", op, i, to_string(inputs[i].shape())));
    }
    walk.wanted.emplace(nodes.back(), Tensor());
  }
  std::vector<Node*> order = nodes_below(*start, walk);
  keep_useful(order, walk);
  check_walkable(order, walk, op);
  if (start->useful == walk.id) {
    start->pending = {options.create_graph ? seed : seed.alias(), true, true};
    if (options.create_graph) {
      const EnableGradGuard guard;
      run_all(order, walk, true, {});
    } else {
      const NoGradGuard guard;
      run_all(order, walk, options.retain_graph, {});
    }
  }
  std::vector<Tensor> found;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& gradient = walk.wanted.at(nodes[i]);
    if (!gradient.defined() && !options.allow_unused) {
      throw AutogradError(
          fmt::format("{}: the root does not depend on input {} of shape {}; pass allow_unused for an "
                      "undefined gradient",
                      op, i, to_string(inputs[i].shape())));
    }
    found.push_back(gradient);
  }
  return found;
}

}  // namespace qing
