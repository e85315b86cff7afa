#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/node.h>

namespace qing {
namespace {

thread_local bool recording_enabled = true;

// Every operation below the root, later ones first. Leaves have nothing to run and stay out.
std::vector<Node*> operations_below(Node& root) {
  static std::atomic<uint64_t> walks{0};
  const uint64_t walk = ++walks;
  std::vector<Node*> found = {&root};
  root.visit = walk;
  for (size_t next = 0; next < found.size(); ++next) {
    for (const auto& input : found[next]->inputs) {
      if (input == nullptr || input->leaf || input->visit == walk) continue;
      input->visit = walk;
      found.push_back(input.get());
    }
  }
  std::sort(found.begin(), found.end(), [](const Node* a, const Node* b) { return a->order > b->order; });
  return found;
}

Tensor seed_of(const Tensor& root, const BackwardOptions& options) {
  if (!options.gradient.defined()) {
    if (root.numel() != 1) {
      throw AutogradError(fmt::format("backward: the root has shape {}; pass BackwardOptions::gradient, or reduce it "
                                      "to one element",
                                      to_string(root.shape())));
    }
    return Tensor::full(root.shape(), 1, root.dtype());
  }
  if (options.gradient.shape() != root.shape()) {
    throw ShapeError(fmt::format("backward: the gradient has shape {}, the root {}",
                                 to_string(options.gradient.shape()), to_string(root.shape())));
  }
  if (options.gradient.dtype() != root.dtype()) {
    throw DTypeError(fmt::format("backward: the gradient is {}, the root {}", name_of(options.gradient.dtype()),
                                 name_of(root.dtype())));
  }
  return options.gradient;
}

// Drops what a node holds of an unfinished walk, so that a failed backward leaves no half sums behind.
void forget_gradient(Node& node) {
  node.grad = Tensor();
  node.grad_valid = false;
  node.grad_shared = false;
}

void run(Node& node, bool retain_graph) {
  const Tensor dy = node.grad_valid ? node.grad.contiguous() : Tensor();
  forget_gradient(node);
  if (dy.defined()) {
    GradSink sink(node);
    node.backward(dy, sink);
  }
  if (!retain_graph) {
    node.backward = nullptr;
    node.released = true;
  }
}

}  // namespace

bool grad_enabled() { return recording_enabled; }
NoGradGuard::NoGradGuard() : previous_(std::exchange(recording_enabled, false)) {}
NoGradGuard::~NoGradGuard() { recording_enabled = previous_; }

void backward(const Tensor& root, const BackwardOptions& options) {
  const std::shared_ptr<Node> start = node_of(root);
  if (start == nullptr) {
    throw AutogradError("backward: nothing was recorded for this tensor; no input required a gradient, or it was "
                        "computed under NoGradGuard");
  }
  const Tensor seed = seed_of(root, options);
  if (start->leaf) {
    Node holder;  // a leaf as root: its gradient is the seed itself
    holder.inputs.push_back(start);
    GradSink(holder).add(0, seed);
    return;
  }
  const std::vector<Node*> order = operations_below(*start);
  for (const Node* node : order) {
    if (node->released) {
      throw AutogradError(fmt::format("backward: the graph at {} was freed by an earlier backward; pass retain_graph "
                                      "there to run it again",
                                      node->op));
    }
  }
  start->grad = seed.alias();
  start->grad_valid = start->grad_shared = true;
  const NoGradGuard guard;
  try {
    // Nodes stay alive through the root's handle: releasing frees what they saved, not the nodes.
    for (Node* node : order) run(*node, options.retain_graph);
  } catch (...) {
    for (Node* node : order) forget_gradient(*node);
    throw;
  }
}

}  // namespace qing
