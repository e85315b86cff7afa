#include <qing/autograd/graph.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include <qing/autograd/anomaly.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/node.h>
#include <qing/autograd/view_history.h>

namespace qing {
namespace {

std::atomic<uint64_t> next_sequence_number{1};

std::shared_ptr<Node> make_node(const Tensor& tensor) {
  auto node = std::make_shared<Node>();
  node->shape = tensor.shape();
  node->dtype = tensor.dtype();
  node->sequence_number = next_sequence_number.fetch_add(1, std::memory_order_relaxed);
  return node;
}

std::shared_ptr<Node> recorded_node(const Tensor& tensor, const char* op) {
  std::shared_ptr<Node> node = node_of(tensor);
  if (node == nullptr) {
    throw AutogradError(fmt::format("{}: the tensor of shape {} requires no gradient; see set_requires_grad", op,
                                    to_string(tensor.shape())));
  }
  return node;
}

}  // namespace

// Recursion must not destroy a long chain of nodes: a loop takes apart the nodes that would die with this one.
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

Tensor& set_requires_grad(Tensor& tensor, bool requires_grad) {
  const std::shared_ptr<Node> node = node_of(tensor);
  if (node != nullptr && !node->leaf && !requires_grad) {
    throw AutogradError(fmt::format("set_requires_grad: this tensor is the result of {}; detach() it", node->op));
  }
  if (requires_grad && !is_floating(tensor.dtype())) {
    throw DTypeError(
        fmt::format("set_requires_grad: only f32 and f64 have gradients, got {}", name_of(tensor.dtype())));
  }
  if (requires_grad && inference_mode()) {
    throw AutogradError("set_requires_grad: not under InferenceGuard; make leaves outside of it");
  }
  if (requires_grad && node == nullptr) hang(tensor, make_node(tensor));
  if (!requires_grad && node != nullptr) {
    // A view made under NoGradGuard stays marked as one.
    if (meta_of(tensor)->fixed) {
      meta_of(tensor)->node = nullptr;
    } else {
      tensor.set_autograd_meta(nullptr);
    }
  }
  return tensor;
}

bool is_leaf(const Tensor& tensor) {
  const std::shared_ptr<Node> node = node_of(tensor);
  return node == nullptr || node->leaf;
}

Tensor grad(const Tensor& leaf) {
  const std::shared_ptr<Node> node = node_of(leaf);
  if (node == nullptr || !node->grad.valid) return {};
  node->grad.rows.reset();
  return node->grad.tensor;
}

RowGradient row_grad(const Tensor& leaf) {
  const std::shared_ptr<Node> node = node_of(leaf);
  if (node == nullptr || !node->grad.valid) return {};
  return {node->grad.tensor, node->grad.knows_rows() ? node->grad.rows : nullptr};
}

void zero_grad(const Tensor& leaf) {
  if (const std::shared_ptr<Node> node = node_of(leaf)) node->grad.valid = false;
}

RowGradient take_grad(const Tensor& leaf) {
  const std::shared_ptr<Node> node = node_of(leaf);
  if (node == nullptr || !node->grad.valid) return {};
  const auto rows = node->grad.knows_rows() ? node->grad.rows : nullptr;
  GradSlot taken = std::exchange(node->grad, {});
  return {taken.shared ? taken.tensor.clone() : std::move(taken.tensor), rows};
}

namespace {

Node& leaf_node(const Tensor& leaf, const char* op) {
  const std::shared_ptr<Node> node = node_of(leaf);
  if (node == nullptr || !node->leaf) {
    throw AutogradError(fmt::format("{}: not a leaf that requires a gradient", op));
  }
  return *node;
}

void check_fits(const Node& node, const Tensor& gradient, const char* op) {
  if (gradient.shape() == node.shape && gradient.dtype() == node.dtype && gradient.is_contiguous()) return;
  throw ShapeError(fmt::format("{}: needs a contiguous {} tensor of shape {}, got {} of shape {}", op,
                               name_of(node.dtype), to_string(node.shape), name_of(gradient.dtype()),
                               to_string(gradient.shape())));
}

}  // namespace

void set_grad_buffer(const Tensor& leaf, Tensor buffer) {
  Node& node = leaf_node(leaf, "set_grad_buffer");
  check_fits(node, buffer, "set_grad_buffer");
  node.grad = {.tensor = std::move(buffer), .lent = true};
}

void put_grad(const Tensor& leaf, Tensor gradient) {
  Node& node = leaf_node(leaf, "put_grad");
  check_fits(node, gradient, "put_grad");
  node.grad = {.tensor = std::move(gradient), .valid = true};
}

void retain_grad(const Tensor& result) { recorded_node(result, "retain_grad")->retain = true; }

HookHandle register_hook(const Tensor& tensor, GradientHook hook) {
  static std::atomic<uint64_t> ids{0};
  const std::shared_ptr<Node> node = recorded_node(tensor, "register_hook");
  const uint64_t id = ++ids;
  node->hooks.emplace_back(id, std::move(hook));
  return HookHandle(node, id);
}

void HookHandle::remove() {
  if (const auto node = std::static_pointer_cast<Node>(node_.lock())) {
    std::erase_if(node->hooks, [this](const auto& hook) { return hook.first == id_; });
  }
}

Tensor detach(const Tensor& tensor) { return tensor.alias(); }

bool recording(std::span<const Tensor> inputs) {
  if (!grad_enabled()) return false;
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const Tensor& input) { return input.defined() && requires_grad(input); });
}

void record(OpName op, Tensor& output, std::span<const Tensor> inputs, BackwardFunction backward) {
  if (anomaly_mode()) check_forward(op.c_str(), output, inputs);
  // The inputs' nodes come first: node_of() may make one, and inputs need smaller numbers.
  std::vector<std::shared_ptr<Node>> below;
  below.reserve(inputs.size());
  for (const Tensor& input : inputs) below.push_back(input.defined() ? node_of(input) : nullptr);
  auto node = make_node(output);
  node->op = op.c_str();
  node->differentiable = op.order();
  node->leaf = false;
  node->backward = std::move(backward);
  node->inputs = std::move(below);
  hang_result(output, inputs, std::move(node));
}

}  // namespace qing
