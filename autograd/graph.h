// How an operation records itself. The pattern is
//
//   Tensor square(const Tensor& x) {
//     Tensor y = ...;                                              // forward, on plain tensors
//     if (recording({x})) {
//       const OpName name = OpName::custom("square", Order::second);  // an operation of qing: its literal, from kOps
//       record(name, y, {x}, [x = Saved(x)](const Tensor& dy, GradSink& grad) {
//         grad.add(0, mul(dy, scale(grad.input(0, x), 2)));        // dL/dx from dL/dy
//       });
//     }
//     return y;
//   }
//
// A backward made of differentiable operations on dy, grad.input() and grad.output(), as this one, can itself be
// differentiated: its order is Order::second. If a faster way exists for the usual case, choose it by
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

/// Computes the gradients of the inputs from dy, the gradient of the output. dy has the output's shape and dtype, and
/// is contiguous unless grad.create_graph().
using BackwardFunction = std::function<void(const Tensor& dy, GradSink& grad)>;

/// A tensor kept for backward, with its version at that time. Holds the elements, not the graph behind them.
class Saved {
 public:
  explicit Saved(const Tensor& tensor) : tensor_(tensor.alias()), version_(tensor.version()) {}
  /// AutogradError naming the operation if the elements were written in place since.
  const Tensor& get(const GradSink& grad) const;

 private:
  Tensor tensor_;
  uint64_t version_;
};

/// Takes the gradients of the inputs from an operation's backward. Inputs count from 0 in the order of record();
/// IndexError naming the operation for another input.
class GradSink {
 public:
  GradSink(Node& node, const Walk& walk) : node_(node), walk_(walk) {}

  /// Whether the gradient of this input is needed. If not, do not compute it.
  bool needs(size_t input) const;

  struct Target {
    Tensor tensor;    ///< contiguous, of the input's shape and dtype
    bool accumulate;  ///< true: add to the elements; false: overwrite every element, as none is initialised
  };
  /// A buffer to compute the gradient into. Requires needs(input), and not create_graph().
  Target target(size_t input);
  /// As target(), but with zeros if nothing was there: for a backward that can only add.
  Tensor zeroed_target(size_t input);
  /// Adds a finished gradient. If the input was broadcast, the gradient may have the broadcast shape: it is summed
  /// down. The sink may keep the handle, so do not write to `gradient` afterwards. Does nothing unless needs(input).
  void add(size_t input, const Tensor& gradient);

  /// Adds rows[j] to row index[j] of an input's gradient; index comes from checked_index(). A leaf remembers the
  /// written rows (see row_grad()), so that clearing and updating can skip the others.
  void add_rows(size_t input, const Tensor& index, const Tensor& rows);

  /// Whether the gradients will be differentiated. If so, compute them by differentiable operations on dy, input() and
  /// output(), and pass them to add().
  bool create_graph() const;
  /// Whether gradients() returns the gradients; otherwise backward() leaves them in leaves.
  bool captures() const;
  /// A saved input: as part of the graph if create_graph(), else as Saved::get.
  Tensor input(size_t input, const Saved& saved) const;
  /// The operation's saved result: as part of the graph if create_graph(), else as Saved::get.
  Tensor output(const Saved& saved) const;

  const char* op() const;

 private:
  struct GradSlot& slot(size_t input) const;

  Node& node_;
  const Walk& walk_;
};

/// Whether an operation on these inputs must record itself. Undefined inputs do not count.
bool recording(std::span<const Tensor> inputs);
inline bool recording(std::initializer_list<Tensor> inputs) {
  return recording(std::span<const Tensor>(inputs.begin(), inputs.size()));
}
/// Makes `output` the result of a new node. No other operation may have recorded it. The sink numbers the inputs in
/// this order.
void record(OpName op, Tensor& output, std::span<const Tensor> inputs, BackwardFunction backward);
inline void record(OpName op, Tensor& output, std::initializer_list<Tensor> inputs, BackwardFunction backward) {
  record(op, output, std::span<const Tensor>(inputs.begin(), inputs.size()), std::move(backward));
}

}  // namespace qing
