// Reverse-mode differentiation. Operations of <qing/autograd/ops.h> on tensors that require gradients record a graph;
// backward() walks it from a scalar and leaves d(scalar)/d(leaf) in every leaf's gradient; gradients() hands them out
// instead, differentiable once more if asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// Makes a leaf: gradients will be accumulated for it. f32 or f64 (DTypeError). With false, stops it; AutogradError if
/// the tensor is the result of a recorded operation (detach() it instead), or under InferenceGuard. Returns its
/// argument.
Tensor& set_requires_grad(Tensor& tensor, bool requires_grad = true);
bool requires_grad(const Tensor& tensor);
bool is_leaf(const Tensor& tensor);

/// The accumulated gradient of a leaf (or of a result that retains it), of its shape and dtype; undefined if there is
/// none since the last zero_grad. The tensor shares storage with the accumulator. Not for two threads at a time on one
/// leaf.
Tensor grad(const Tensor& leaf);
/// A leaf's gradient for those who write to it in place or skip its zeros, as optimizers do.
struct RowGradient {
  Tensor gradient;  ///< as of grad()
  /// Rows (of the first dimension, ascending) outside of which it is zero, or null when nothing is known: what only
  /// GradSink::add_rows() wrote, as the gradient of an embedding's table is.
  std::shared_ptr<const std::vector<int64_t>> rows = nullptr;
};
/// The gradient together with its rows. Whoever writes to it through data() writes to these rows alone; grad() has no
/// such condition, and therefore ends the tracking of rows until the next zero_grad and backward. So do hooks,
/// set_grad_buffer() and a write in place.
RowGradient row_grad(const Tensor& leaf);
/// Forgets the gradient. Its memory is kept for the next backward.
void zero_grad(const Tensor& leaf);
/// Lets gradients be accumulated in `buffer` (contiguous, of the leaf's shape and dtype), e.g. a slice of an arena.
void set_grad_buffer(const Tensor& leaf, Tensor buffer);
/// Lets backward() leave its gradient with `result`, which is no leaf, too. AutogradError if nothing was recorded for
/// it.
void retain_grad(const Tensor& result);

/// Called with the gradient of a tensor when it is complete in a walk, before it goes on. What it returns, if defined,
/// takes its place (ShapeError, DTypeError if it does not fit).
using GradientHook = std::function<Tensor(const Tensor& gradient)>;
/// Takes its hook away when asked to; dropping it leaves the hook where it is.
class HookHandle {
 public:
  HookHandle() = default;
  HookHandle(std::weak_ptr<void> node, uint64_t id) : node_(std::move(node)), id_(id) {}
  void remove();  ///< Does nothing the second time, or when the graph is gone.

 private:
  std::weak_ptr<void> node_;
  uint64_t id_ = 0;
};
/// Hooks run in the order of registration. AutogradError if the tensor requires no gradient.
HookHandle register_hook(const Tensor& tensor, GradientHook hook);

struct BackwardOptions {
  bool retain_graph = false;  ///< keep saved tensors, so that backward can run again
  Tensor gradient = {};       ///< d(objective)/d(root); undefined: 1, for a one-element root
};
/// Adds d(root)/d(leaf) to every leaf that root was computed from. Iterative: the depth of the graph is bounded by
/// memory alone. Each operation's saved tensors are freed once used. AutogradError: root records no graph, the graph
/// was freed, or a saved tensor was written in place since (the text names the operation). Cost: one backward per
/// recorded operation. One graph must not be walked by two threads at a time.
void backward(const Tensor& root, const BackwardOptions& options = {});

struct GradientsOptions {
  bool create_graph = false;  ///< record the gradients' own computation, so that they can be differentiated
  bool retain_graph = false;  ///< implied by create_graph
  bool allow_unused = false;  ///< an undefined result for an input that root does not depend on, instead of an error
  Tensor gradient = {};       ///< as in BackwardOptions
};
/// d(root)/d(input) for each input, leaf or not; the leaves' own gradients stay as they are. With create_graph every
/// operation between must be differentiable twice (Order::second in op_names.h), else AutogradError names the one that
/// is not. Otherwise errors and cost are those of backward(); parts that no input depends on are not walked.
std::vector<Tensor> gradients(const Tensor& root, const std::vector<Tensor>& inputs,
                              const GradientsOptions& options = {});

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

/// While it lives, operations on this thread record again, within a NoGradGuard. Without effect in an InferenceGuard.
class EnableGradGuard {
 public:
  EnableGradGuard();
  ~EnableGradGuard();
  EnableGradGuard(const EnableGradGuard&) = delete;
  EnableGradGuard& operator=(const EnableGradGuard&) = delete;

 private:
  bool previous_;
};

/// As NoGradGuard, and nothing below it can turn recording on: EnableGradGuard does nothing, set_requires_grad is an
/// error. For serving.
class InferenceGuard {
 public:
  InferenceGuard();
  ~InferenceGuard();
  InferenceGuard(const InferenceGuard&) = delete;
  InferenceGuard& operator=(const InferenceGuard&) = delete;

 private:
  bool previous_;
  NoGradGuard no_grad_;
};
bool inference_mode();

/// While it lives, this thread looks for NaN in the result of every operation that it records and in every gradient
/// that a backward gives, and throws AutogradError naming the operation (of the forward) that made the first one. Slow:
/// reads every result once more.
class AnomalyGuard {
 public:
  AnomalyGuard();
  ~AnomalyGuard();
  AnomalyGuard(const AnomalyGuard&) = delete;
  AnomalyGuard& operator=(const AnomalyGuard&) = delete;

 private:
  bool previous_;
};

}  // namespace qing
