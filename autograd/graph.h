// What an operation needs to record itself: the pattern is
//
//   Tensor square(const Tensor& x) {
//     Tensor y = ...;                                              // forward, on plain tensors
//     if (recording({x})) {
//       record("square", y, {x}, [x = Saved(x)](const Tensor& dy, GradSink& grad) {
//         grad.add(0, mul(dy, scale(grad.input(0, x), 2)));        // dL/dx from dL/dy
//       });
//     }
//     return y;
//   }
//
// A backward made of differentiable operations on dy, grad.input() and grad.output(), as this one, can be
// differentiated itself: list the operation as Order::second. One that has a faster way for the usual case asks
// grad.create_graph().
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include <qing/autograd/op_names.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct Node;
struct Walk;
class GradSink;

/// Computes input gradients from dy, the gradient of the output (of the output's shape and dtype; contiguous, unless
/// grad.create_graph()).
using BackwardFunction = std::function<void(const Tensor& dy, GradSink& grad)>;

/// A tensor kept for backward, with the version it had. Holds the elements, not the graph that led to them.
class Saved {
 public:
  explicit Saved(const Tensor& tensor) : tensor_(tensor.alias()), version_(tensor.version()) {}
  /// AutogradError naming the operation if the elements were written in place since.
  const Tensor& get(const GradSink& grad) const;

 private:
  Tensor tensor_;
  uint64_t version_;
};

/// Where an operation's backward puts the gradients of its inputs.
class GradSink {
 public:
  GradSink(Node& node, const Walk& walk) : node_(node), walk_(walk) {}

  /// Whether anything wants the gradient of this input; when not, do not compute it.
  bool needs(size_t input) const;

  struct Target {
    Tensor tensor;    ///< contiguous, of the input's shape and dtype
    bool accumulate;  ///< add to what is there; else overwrite every element, which are not initialised
  };
  /// A buffer to compute the gradient straight into. Requires needs(input), and not create_graph().
  Target target(size_t input);
  /// The same, with zeros when nothing was there: for a backward that only knows how to add.
  Tensor zeroed_target(size_t input);
  /// Adds a gradient computed elsewhere; one of a shape that the input was broadcast to is summed down. The sink may
  /// keep the handle, so do not write to `gradient` afterwards. Does nothing unless needs(input).
  void add(size_t input, const Tensor& gradient);

  /// Adds rows[j] to row index[j] of the gradient of an input; index comes from checked_index(). A leaf remembers which
  /// rows were written (see row_grad()), so that clearing and updating need not visit the others.
  void add_rows(size_t input, const Tensor& index, const Tensor& rows);

  /// Whether the gradients will be differentiated: then they are to be computed by differentiable operations from dy,
  /// input() and output(), and given to add().
  bool create_graph() const;
  /// Whether gradients are handed out by gradients() rather than left in leaves by backward().
  bool captures() const;
  /// An input that was saved, in its place in the graph when create_graph() (else as Saved::get).
  Tensor input(size_t input, const Saved& saved) const;
  /// The operation's own result, likewise.
  Tensor output(const Saved& saved) const;

  const char* op() const;

 private:
  struct GradSlot& slot(size_t input) const;

  Node& node_;
  const Walk& walk_;
};

/// Whether an operation on these inputs has to record itself. Undefined ones do not count.
bool recording(std::span<const Tensor> inputs);
inline bool recording(std::initializer_list<Tensor> inputs) {
  return recording(std::span<const Tensor>(inputs.begin(), inputs.size()));
}
/// Hangs the graph's next node on `output`, which no other operation has recorded. Inputs keep their order in the sink.
void record(OpName op, Tensor& output, std::span<const Tensor> inputs, BackwardFunction backward);
inline void record(OpName op, Tensor& output, std::initializer_list<Tensor> inputs, BackwardFunction backward) {
  record(op, output, std::span<const Tensor>(inputs.begin(), inputs.size()), std::move(backward));
}

}  // namespace qing
