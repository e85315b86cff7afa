// What an operation needs to record itself: the pattern is
//
//   Tensor square(const Tensor& x) {
//     Tensor y = ...;                                              // forward, on plain tensors
//     if (recording({x})) {
//       record("square", y, {x}, [x = Saved(x)](const Tensor& dy, GradSink& grad) {
//         grad.add(0, ...);                                        // dL/dx from dL/dy
//       });
//     }
//     return y;
//   }
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include <qing/autograd/op_names.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct Node;
class GradSink;

/// Computes input gradients from dy, the gradient of the output (contiguous, of the output's shape and dtype).
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
  explicit GradSink(Node& node) : node_(node) {}

  /// Whether anything wants the gradient of this input; when not, do not compute it.
  bool needs(size_t input) const;

  struct Target {
    Tensor tensor;    ///< contiguous, of the input's shape and dtype
    bool accumulate;  ///< add to what is there; else overwrite every element, which are not initialised
  };
  /// A buffer to compute the gradient straight into. Requires needs(input).
  Target target(size_t input);
  /// The same, with zeros when nothing was there: for a backward that only knows how to add.
  Tensor zeroed_target(size_t input);
  /// Adds a gradient computed elsewhere; one of a shape that the input was broadcast to is summed down. The sink may
  /// keep the handle, so do not write to `gradient` afterwards. Does nothing unless needs(input).
  void add(size_t input, const Tensor& gradient);

  const char* op() const;

 private:
  Node& node_;
};

/// Whether an operation on these inputs has to record itself.
bool recording(std::initializer_list<Tensor> inputs);
/// Hangs the graph's next node on `output`, which no other operation has recorded. Inputs keep their order in the sink.
void record(OpName op, Tensor& output, std::initializer_list<Tensor> inputs, BackwardFunction backward);

}  // namespace qing
