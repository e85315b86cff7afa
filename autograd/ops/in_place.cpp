// In-place operations on tensors in a graph. Each writes the memory as it does outside a graph, and records the
// operation on the value before the write. The new node becomes the node of the tensor, or of a part of its base.
#include <qing/tensor/in_place.h>

#include <fmt/format.h>

#include <utility>

#include <qing/autograd/graph.h>
#include <qing/autograd/node.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/selection.h>
#include <qing/autograd/ops/views.h>
#include <qing/autograd/view_history.h>

namespace qing {
namespace {

// Whether a write to x must be recorded. AutogradError if it is not allowed.
bool records_write(const char* op, const Tensor& x, const Tensor& operand = {}) {
  if (!grad_enabled() || !is_floating(x.dtype())) return false;
  const bool flows = operand.defined() && requires_grad(operand);
  if (!check_target(x, op) && !flows) return false;
  if (x.base().defined() && x.base().layout().may_overlap_itself()) {
    throw AutogradError(
        fmt::format("{}: cannot write to this view in place because elements of its base share memory "
                    "(shape {}, strides {}); write to a clone",
                    op, to_string(x.base().shape()), to_string(x.base().strides())));
  }
  return true;
}

// The value of x before a write, with its history. A copy if the operation's backward reads it.
Tensor before(const Tensor& x, bool read) {
  const Tensor plain = x.alias();
  Tensor value = read ? plain.clone() : plain;
  if (auto node = node_of(x)) hang(value, std::move(node));
  return value;
}

// before() for a write of every element. Of a view nothing remains, and its base keeps the history of the rest.
Tensor overwritten(const Tensor& x) { return x.base().defined() ? Tensor() : before(x, false); }

// The operand in x's dtype; a copy if the write would change it.
Tensor operand_of(const char* op, const Tensor& x, const Tensor& operand) {
  check_writable(x, op);
  static_cast<void>(operand.layout().expand(x.shape()));  // checks
  const Tensor converted = operand.to(x.dtype());
  return converted.may_overlap(x) ? converted.clone() : converted;
}

// Gives x the history of result. x's memory already has result's elements.
void take_history(Tensor& x, const Tensor& result) {
  if (x.base().defined()) return record_view_write(x.base(), x.layout(), result);
  replace_node(x, node_of(result));
}

// Writes the result of a recorded operation to x, with its history.
void take(Tensor& x, const Tensor& result) {
  Tensor memory = x.alias();
  memory.copy_from(result.alias());
  take_history(x, result);
}

// Records sum = x + factor · operand.
void record_sum(Tensor& sum, const Tensor& x, const Tensor& operand, double factor) {
  record("add", sum, {x, operand}, [factor](const Tensor& dy, GradSink& grad) {
    grad.add(0, dy);
    if (grad.needs(1)) grad.add(1, factor == 1 ? dy : mul(dy, factor));
  });
}

// x += factor·other: `write` does it on plain tensors.
template <class Write>
void write_sum(const char* op, Tensor& x, const Tensor& other, double factor, const Write& write) {
  Tensor memory = x.alias();
  if (!records_write(op, x, other)) return write(memory, other.alias());
  const Tensor was = before(x, false), operand = other.to(x.dtype());
  write(memory, operand.alias());
  record_sum(memory, was, operand, factor);
  take_history(x, memory);
}

}  // namespace

void GradMeta::copy_from(Tensor& x, const Tensor& source) const {
  Tensor memory = x.alias();
  if (!records_write("copy_from", x, source)) return memory.copy_from(source.alias());
  const Tensor was = overwritten(x);
  memory.copy_from(source.alias());
  record("copy_from", memory, {was, source}, [dtype = source.dtype()](const Tensor& dy, GradSink& grad) {
    if (grad.needs(0)) grad.add(0, Tensor::zeros(dy.shape(), dy.dtype()));
    if (grad.needs(1)) grad.add(1, qing::to(dy, dtype));
  });
  take_history(x, memory);
}

void GradMeta::overwrite(const char* op, Tensor& x, const std::function<void(Tensor&)>& write) const {
  Tensor memory = x.alias();
  if (!records_write(op, x)) return write(memory);
  const Tensor was = overwritten(x);
  write(memory);
  record("fill", memory, {was}, [](const Tensor& dy, GradSink& grad) {
    if (grad.needs(0)) grad.add(0, Tensor::zeros(dy.shape(), dy.dtype()));
  });
  take_history(x, memory);
}

void GradMeta::add_(Tensor& x, const Tensor& other, Scalar alpha) const {
  write_sum("add_", x, other, alpha.to_double(),
            [alpha](Tensor& memory, const Tensor& operand) { memory.add_(operand, alpha); });
}

void GradMeta::sub_(Tensor& x, const Tensor& other, Scalar alpha) const {
  write_sum("sub_", x, other, -alpha.to_double(),
            [alpha](Tensor& memory, const Tensor& operand) { memory.sub_(operand, alpha); });
}

void GradMeta::mul_(Tensor& x, const Tensor& other) const {
  if (!records_write("mul_", x, other)) {
    Tensor memory = x.alias();
    memory.mul_(other.alias());
    return;
  }
  const Tensor operand = operand_of("mul_", x, other);
  take(x, mul(before(x, requires_grad(operand)), operand));
}

void GradMeta::div_(Tensor& x, const Tensor& other) const {
  if (!records_write("div_", x, other)) {
    Tensor memory = x.alias();
    memory.div_(other.alias());
    return;
  }
  const Tensor operand = operand_of("div_", x, other);
  take(x, div(before(x, false), operand));
}

void GradMeta::clamp_(Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high) const {
  if (!records_write("clamp_", x)) {
    Tensor memory = x.alias();
    memory.clamp_(low, high);
    return;
  }
  check_writable(x, "clamp_");
  const auto bound = [](const std::optional<Scalar>& value) {
    return value ? std::optional(value->to_double()) : std::nullopt;  // x is floating
  };
  take(x, clamp(before(x, true), bound(low), bound(high)));
}

void GradMeta::masked_fill_(Tensor& x, const Tensor& mask, Scalar value) const {
  Tensor memory = x.alias();
  if (!records_write("masked_fill_", x)) {
    memory.masked_fill_(mask, value);
    return;
  }
  const Tensor was = before(x, false);
  memory.masked_fill_(mask, value);
  record("masked_fill", memory, {was},
         [mask = Saved(mask)](const Tensor& dy, GradSink& grad) { grad.add(0, where(mask.get(grad), 0, dy)); });
  take_history(x, memory);
}

}  // namespace qing
