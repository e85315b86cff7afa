#include <qing/autograd/graph.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include <qing/autograd/anomaly.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/node.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/view_history.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/ops/indexing.h>

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

std::shared_ptr<Node> recorded_node(const Tensor& tensor, const char* op) {
  std::shared_ptr<Node> node = node_of(tensor);
  if (node == nullptr) {
    throw AutogradError(fmt::format("{}: the tensor of shape {} requires no gradient; see set_requires_grad", op,
                                    to_string(tensor.shape())));
  }
  return node;
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
    // A view made under NoGradGuard goes on knowing that it is one.
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

void set_grad_buffer(const Tensor& leaf, Tensor buffer) {
  const std::shared_ptr<Node> node = node_of(leaf);
  if (node == nullptr || !node->leaf) throw AutogradError("set_grad_buffer: not a leaf that requires a gradient");
  if (buffer.shape() != node->shape || buffer.dtype() != node->dtype || !buffer.is_contiguous()) {
    throw ShapeError(fmt::format("set_grad_buffer: needs a contiguous {} tensor of shape {}, got {} of shape {}",
                                 name_of(node->dtype), to_string(node->shape), name_of(buffer.dtype()),
                                 to_string(buffer.shape())));
  }
  node->grad = {.tensor = std::move(buffer), .lent = true};
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
  // The inputs' nodes come first: node_of() may make one, and inputs must have smaller numbers.
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
bool GradSink::create_graph() const { return walk_.create_graph; }
bool GradSink::captures() const { return walk_.capture; }

bool GradSink::needs(size_t input) const {
  const Node* to = node_.inputs[input].get();
  return to != nullptr && (!walk_.capture || to->useful == walk_.id);
}

// A leaf's gradient goes straight to its accumulator, unless somebody is to see it first.
GradSlot& GradSink::slot(size_t input) const {
  Node& to = *node_.inputs[input];
  return to.leaf && !walk_.capture && to.hooks.empty() ? to.grad : to.pending;
}

Tensor GradSink::input(size_t input, const Saved& saved) const {
  const Tensor& plain = saved.get(*this);
  if (!walk_.create_graph || node_.inputs[input] == nullptr) return plain;
  Tensor wired = plain.alias();
  hang(wired, node_.inputs[input]);
  return wired;
}

Tensor GradSink::output(const Saved& saved) const {
  const Tensor& plain = saved.get(*this);
  if (!walk_.create_graph) return plain;
  Tensor wired = plain.alias();
  hang(wired, node_.shared_from_this());
  return wired;
}

GradSink::Target GradSink::target(size_t input) {
  if (walk_.create_graph) {
    throw AutogradError(
        fmt::format("{}: its backward writes gradients directly, so they cannot be differentiated; list "
                    "it as Order::first",
                    op()));
  }
  const Node& to = *node_.inputs[input];
  GradSlot& into = slot(input);
  if (into.valid && into.shared) into.tensor = into.tensor.clone();
  const bool reusable = into.tensor.defined() && !into.shared;
  if (!into.valid && !reusable) into.tensor = Tensor::empty(to.shape, to.dtype);
  into.shared = false;
  into.rows.reset();
  return {into.tensor, std::exchange(into.valid, true)};
}

Tensor GradSink::zeroed_target(size_t input) {
  Target found = target(input);
  if (!found.accumulate) found.tensor.fill(0);
  return found.tensor;
}

namespace {

void clear_rows(Tensor& table, const std::vector<int64_t>& rows) {
  if (rows.empty()) return;
  const int64_t width = table.numel() / table.size(0);
  dispatch_floating(table.dtype(), "add_rows", [&](auto zero) {
    for (const int64_t row : rows) std::fill_n(table.data<decltype(zero)>() + row * width, width, zero);
  });
  table.bump_version();
}

// Makes the slot of a leaf zero, with rows tracked from here on. False when it holds a gradient of unknown rows.
bool start_tracking(GradSlot& slot, const Node& leaf) {
  if (slot.valid) return slot.knows_rows();
  if (slot.knows_rows()) {
    clear_rows(slot.tensor, *slot.rows);
  } else {
    if (!slot.tensor.defined()) slot.tensor = Tensor::empty(leaf.shape, leaf.dtype);
    slot.tensor.fill(0);
  }
  slot.rows = std::make_shared<std::vector<int64_t>>();
  return slot.valid = true;
}

// Both, ascending and each once, of rows below `count`. By a set of bits: no sorting, and 64 rows a step.
std::vector<int64_t> united(const std::vector<int64_t>& rows, const Tensor& index, int64_t count) {
  std::vector<uint64_t> bits(static_cast<size_t>((count + 63) / 64));
  const auto set = [&](int64_t row) { bits[row / 64] |= uint64_t{1} << row % 64; };
  for (const int64_t row : rows) set(row);
  for (const int64_t row : index.span<int64_t>()) set(row);
  std::vector<int64_t> all;
  for (size_t word = 0; word < bits.size(); ++word) {
    for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
      all.push_back(static_cast<int64_t>(word * 64) + std::countr_zero(left));
    }
  }
  return all;
}

}  // namespace

void GradSink::add_rows(size_t input, const Tensor& index, const Tensor& rows) {
  if (!needs(input)) return;
  const Node& to = *node_.inputs[input];
  if (walk_.create_graph) return add(input, index_add(Tensor::zeros(to.shape, to.dtype), 0, index, rows));
  GradSlot& into = slot(input);
  if (&into != &to.grad || into.shared || into.lent || !start_tracking(into, to)) {
    return place_rows(zeroed_target(input), 0, index, rows, Placing::add);
  }
  place_rows(into.tensor, 0, index, rows, Placing::add);
  into.rows = std::make_shared<std::vector<int64_t>>(united(*into.rows, index, to.shape[0]));
  into.version = into.tensor.version();
}

void GradSink::add(size_t input, const Tensor& gradient) {
  if (!needs(input)) return;
  const Node& to = *node_.inputs[input];
  const Tensor reduced = sum_to_shape(gradient, to.shape);
  GradSlot& into = slot(input);
  if (walk_.create_graph) {
    into.tensor = into.valid ? qing::add(into.tensor, reduced) : reduced;
    into.valid = into.shared = true;
    return;
  }
  if (into.valid || &into == &to.grad) {
    const Target found = target(input);
    if (found.accumulate) {
      add_into(found.tensor, reduced);
    } else {
      Tensor buffer = found.tensor;
      buffer.copy_from(reduced);
    }
    return;
  }
  into = {reduced.alias(), true, true};
}

}  // namespace qing
