// Saved and GradSink of <qing/autograd/graph.h>. They are in this folder because they use operations to sum gradients.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include <qing/autograd/graph.h>
#include <qing/autograd/node.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/index_elements.h>

namespace qing {
namespace {

// The node of an input; null if the input needs no gradient.
const std::shared_ptr<Node>& node_of_input(const Node& node, size_t input) {
  if (input >= node.inputs.size()) {
    throw IndexError(
        fmt::format("{}: its backward asks for input {}, but {} recorded; they count from 0", node.op, input,
                    node.inputs.size() == 1 ? "1 input was" : fmt::format("{} inputs were", node.inputs.size())));
  }
  return node.inputs[input];
}

}  // namespace

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
  const Node* to = node_of_input(node_, input).get();
  return to != nullptr && (!walk_.capture || to->useful == walk_.id);
}

// A leaf's gradient goes straight to its accumulator, unless a hook or the caller must see it first.
GradSlot& GradSink::slot(size_t input) const {
  Node& to = *node_of_input(node_, input);
  return to.leaf && !walk_.capture && to.hooks.empty() ? to.grad : to.pending;
}

Tensor GradSink::input(size_t input, const Saved& saved) const {
  const Tensor& plain = saved.get(*this);
  const std::shared_ptr<Node>& node = node_of_input(node_, input);
  if (!walk_.create_graph || node == nullptr) return plain;
  Tensor wired = plain.alias();
  hang(wired, node);
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
  const Node& to = *node_of_input(node_, input);
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

// Zeroes a leaf's slot and starts to track its rows. False if the slot has a gradient of unknown rows.
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

// The union of both lists of rows below `count`, in ascending order. Uses a bit set: no sorting, and 64 rows per step.
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

void put_row_grad(const Tensor& leaf, std::span<const int64_t> rows, const Tensor& values) {
  constexpr const char* op = "put_row_grad";
  const std::shared_ptr<Node> node = node_of(leaf);
  if (node == nullptr || !node->leaf) throw AutogradError(fmt::format("{}: not a leaf that requires a gradient", op));
  const auto count = static_cast<int64_t>(rows.size());
  Shape needed = node->shape;
  if (!needed.empty()) needed[0] = count;
  if (needed.empty() || values.shape() != needed || values.dtype() != node->dtype || !values.is_contiguous()) {
    throw ShapeError(fmt::format("{}: needs contiguous {} values of shape {} for {} rows, got {} of shape {}", op,
                                 name_of(node->dtype), to_string(needed), count, name_of(values.dtype()),
                                 to_string(values.shape())));
  }
  if (std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) != rows.end()) {
    throw IndexError(fmt::format("{}: the {} rows do not ascend", op, count));
  }
  const Tensor index = checked_index(Tensor::from<int64_t>(rows, {count}), node->shape[0], op);
  GradSlot& into = node->grad;
  into.valid = false;
  if (into.shared || into.lent) into = {};
  start_tracking(into, *node);
  place_rows(into.tensor, 0, index, values, Placing::overwrite);
  into.rows = std::make_shared<std::vector<int64_t>>(rows.begin(), rows.end());
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
