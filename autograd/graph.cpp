#include <qing/autograd/graph.h>

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/node.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/ops/reduce.h>

namespace qing {
namespace {

std::atomic<uint64_t> next_order{1};

std::shared_ptr<Node> make_node(const Tensor& tensor) {
  auto node = std::make_shared<Node>();
  node->shape = tensor.shape();
  node->dtype = tensor.dtype();
  node->order = next_order.fetch_add(1, std::memory_order_relaxed);
  return node;
}

void hang(Tensor& tensor, std::shared_ptr<Node> node) {
  auto meta = std::make_unique<GradMeta>();
  meta->node = std::move(node);
  tensor.set_autograd_meta(std::move(meta));
}

}  // namespace

// A chain of nodes must not be destroyed by recursion: what would die with this node is taken apart in a loop.
Node::~Node() {
  std::vector<std::shared_ptr<Node>> dying = std::move(inputs);
  while (!dying.empty()) {
    const std::shared_ptr<Node> node = std::move(dying.back());
    dying.pop_back();
    if (node == nullptr || node.use_count() > 1) continue;
    for (auto& input : node->inputs) dying.push_back(std::move(input));
    node->inputs.clear();
  }
}

std::shared_ptr<Node> node_of(const Tensor& tensor) {
  const auto* meta = static_cast<const GradMeta*>(tensor.autograd_meta());
  return meta == nullptr ? nullptr : meta->node;
}

Tensor& set_requires_grad(Tensor& tensor, bool requires_grad) {
  const std::shared_ptr<Node> node = node_of(tensor);
  if (node != nullptr && !node->leaf && !requires_grad) {
    throw AutogradError(fmt::format("set_requires_grad: this tensor is the result of {}; detach() it", node->op));
  }
  if (requires_grad && !is_floating(tensor.dtype())) {
    throw DTypeError(fmt::format("set_requires_grad: only f32 and f64 have gradients, got {}", name_of(tensor.dtype())));
  }
  if (requires_grad && node == nullptr) hang(tensor, make_node(tensor));
  if (!requires_grad) tensor.set_autograd_meta(nullptr);
  return tensor;
}

bool requires_grad(const Tensor& tensor) { return tensor.autograd_meta() != nullptr; }

bool is_leaf(const Tensor& tensor) {
  const std::shared_ptr<Node> node = node_of(tensor);
  return node == nullptr || node->leaf;
}

Tensor grad(const Tensor& leaf) {
  const std::shared_ptr<Node> node = node_of(leaf);
  return node != nullptr && node->grad_valid ? node->grad : Tensor();
}

void zero_grad(const Tensor& leaf) {
  if (const std::shared_ptr<Node> node = node_of(leaf)) node->grad_valid = false;
}

void set_grad_buffer(const Tensor& leaf, Tensor buffer) {
  const std::shared_ptr<Node> node = node_of(leaf);
  if (node == nullptr || !node->leaf) throw AutogradError("set_grad_buffer: not a leaf that requires a gradient");
  if (buffer.shape() != node->shape || buffer.dtype() != node->dtype || !buffer.is_contiguous()) {
    throw ShapeError(fmt::format("set_grad_buffer: needs a contiguous {} tensor of shape {}, got {} of shape {}",
                                 name_of(node->dtype), to_string(node->shape), name_of(buffer.dtype()),
                                 to_string(buffer.shape())));
  }
  node->grad = std::move(buffer);
  node->grad_valid = false;
  node->grad_shared = false;
}

Tensor detach(const Tensor& tensor) { return tensor.alias(); }

bool recording(std::initializer_list<Tensor> inputs) {
  if (!grad_enabled()) return false;
  for (const Tensor& input : inputs) {
    if (input.defined() && requires_grad(input)) return true;
  }
  return false;
}

void record(OpName op, Tensor& output, std::initializer_list<Tensor> inputs, BackwardFunction backward) {
  auto node = make_node(output);
  node->op = op.c_str();
  node->leaf = false;
  node->backward = std::move(backward);
  node->inputs.reserve(inputs.size());
  for (const Tensor& input : inputs) node->inputs.push_back(input.defined() ? node_of(input) : nullptr);
  hang(output, std::move(node));
}

const Tensor& Saved::get(const GradSink& grad) const {
  if (tensor_.version() != version_) {
    throw AutogradError(
        fmt::format("{}: a tensor of shape {} that its backward needs was written in place after the forward "
                    "(version {}, saved at {}); write to a clone instead",
                    grad.op(), to_string(tensor_.shape()), tensor_.version(), version_));
  }
  return tensor_;
}

const char* GradSink::op() const { return node_.op; }

bool GradSink::needs(size_t input) const { return node_.inputs[input] != nullptr; }

GradSink::Target GradSink::target(size_t input) {
  Node& to = *node_.inputs[input];
  if (to.grad_valid && to.grad_shared) to.grad = to.grad.clone();
  const bool reusable = to.grad.defined() && !to.grad_shared;
  if (!to.grad_valid && !reusable) to.grad = Tensor::empty(to.shape, to.dtype);
  to.grad_shared = false;
  return {to.grad, std::exchange(to.grad_valid, true)};
}

Tensor GradSink::zeroed_target(size_t input) {
  Target found = target(input);
  if (!found.accumulate) found.tensor.fill(0);
  return found.tensor;
}

void GradSink::add(size_t input, const Tensor& gradient) {
  if (!needs(input)) return;
  Node& to = *node_.inputs[input];
  const Tensor reduced = sum_to(gradient, to.shape);
  if (to.grad_valid || to.leaf) {
    const Target into = target(input);
    if (into.accumulate) {
      add_into(into.tensor, reduced);
    } else {
      Tensor buffer = into.tensor;
      buffer.copy_from(reduced);
    }
    return;
  }
  to.grad = reduced.alias();
  to.grad_valid = true;
  to.grad_shared = true;
}

}  // namespace qing
