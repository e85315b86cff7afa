// Reverse-mode differentiation. Operations of <qing/autograd/ops.h> on tensors that require gradients record a graph;
// backward() walks it from a scalar and leaves d(scalar)/d(leaf) in every leaf's gradient.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// Makes a leaf: gradients will be accumulated for it. f32 or f64 (DTypeError). With false, stops it; AutogradError if
/// the tensor is the result of a recorded operation (detach() it instead). Returns its argument.
Tensor& set_requires_grad(Tensor& tensor, bool requires_grad = true);
bool requires_grad(const Tensor& tensor);
bool is_leaf(const Tensor& tensor);

/// The accumulated gradient of a leaf, of the leaf's shape and dtype; undefined if there is none since the last
/// zero_grad. The tensor shares storage with the accumulator.
Tensor grad(const Tensor& leaf);
/// Forgets the gradient. Its memory is kept for the next backward.
void zero_grad(const Tensor& leaf);
/// Lets gradients be accumulated in `buffer` (contiguous, of the leaf's shape and dtype), e.g. a slice of an arena.
void set_grad_buffer(const Tensor& leaf, Tensor buffer);

struct BackwardOptions {
  bool retain_graph = false;  ///< keep saved tensors, so that backward can run again
  Tensor gradient = {};       ///< d(objective)/d(root); undefined: 1, for a one-element root
};
/// Adds d(root)/d(leaf) to every leaf that root was computed from. Iterative: the depth of the graph is bounded by
/// memory alone. Each operation's saved tensors are freed once used. AutogradError: root records no graph, the graph
/// was freed, or a saved tensor was written in place since (the text names the operation). Cost: one backward per
/// recorded operation. One graph must not be walked by two threads at a time.
void backward(const Tensor& root, const BackwardOptions& options = {});

/// The same elements (shared), outside the graph.
Tensor detach(const Tensor& tensor);

/// Whether operations on this thread record. On by default.
bool grad_enabled();

/// While it lives, operations on this thread record nothing.
class NoGradGuard {
 public:
  NoGradGuard();
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool previous_;
};

}  // namespace qing
