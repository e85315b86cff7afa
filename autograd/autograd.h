// Reverse-mode differentiation. Operations of <qing/autograd/ops.h> on tensors that require gradients record a graph.
// backward() walks it from a scalar and adds d(scalar)/d(leaf) to every leaf's gradient. gradients() returns
// derivatives instead, differentiable again on request. Thread safety: guards and modes belong to one thread. Threads
// may record and walk separate graphs at once. One graph, and one leaf's gradient, is for one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// Makes a leaf: backward() accumulates its gradient. `false` stops that. DTypeError unless f32 or f64; AutogradError
/// if the tensor is the result of a recorded operation (detach() it instead), or under InferenceGuard. Returns its
/// argument.
Tensor& set_requires_grad(Tensor& tensor, bool requires_grad = true);
bool requires_grad(const Tensor& tensor);
bool is_leaf(const Tensor& tensor);

/// The accumulated gradient of a leaf, or of a result after retain_grad(), of its shape and dtype. Undefined if there
/// is none since the last zero_grad. The tensor shares storage with the accumulator. Not thread-safe for one leaf.
Tensor grad(const Tensor& leaf);
/// A leaf's gradient for code that writes it in place or skips its zeros, as optimizers do.
struct RowGradient {
  Tensor gradient;  ///< as of grad()
  /// Rows (indices of the first dimension, ascending) outside of which the gradient is zero. Null when nothing is
  /// known. Known only if all writes came from GradSink::add_rows(), as with an embedding's table.
  std::shared_ptr<const std::vector<int64_t>> rows = nullptr;
};
/// The gradient together with its rows. The caller may write through data() to these rows only. grad() has no such
/// condition, so it ends the tracking of rows until the next zero_grad and backward. Hooks, set_grad_buffer() and a
/// write in place end it too.
RowGradient row_grad(const Tensor& leaf);
/// Clears the gradient. Its memory is kept for the next backward.
void zero_grad(const Tensor& leaf);
/// Takes the gradient out of a leaf, which has none afterwards. The gradient is the caller's alone, unless somebody
/// else holds the tensor of an earlier grad(). The next backward takes other memory.
RowGradient take_grad(const Tensor& leaf);
/// Makes `gradient` the gradient of a leaf, in place of the one that it has. The leaf keeps the tensor itself: it is
/// contiguous and of the leaf's shape and dtype (ShapeError). AutogradError unless `leaf` is a leaf that requires a
/// gradient.
void put_grad(const Tensor& leaf, Tensor gradient);
/// Makes the gradient of a leaf zero but for `values` [n, ...] in the rows `rows`, which ascend. Optimizers and
/// clipping then visit those rows only (row_grad()). ShapeError, IndexError; AutogradError as put_grad().
void put_row_grad(const Tensor& leaf, std::span<const int64_t> rows, const Tensor& values);
/// Makes gradients accumulate in `buffer` (contiguous, of the leaf's shape and dtype; ShapeError), e.g. a slice of an
/// arena. AutogradError unless `leaf` is a leaf that requires a gradient.
void set_grad_buffer(const Tensor& leaf, Tensor buffer);
/// Makes backward() keep the gradient of `result`, which is not a leaf. AutogradError if no operation recorded it.
void retain_grad(const Tensor& result);

/// Called with a tensor's gradient once it is complete in a walk, before it is passed on. A defined result replaces the
/// gradient (ShapeError or DTypeError if it does not fit).
using GradientHook = std::function<Tensor(const Tensor& gradient)>;
/// remove() takes the hook away. Destroying the handle leaves the hook in place.
class HookHandle {
 public:
  HookHandle() = default;
  HookHandle(std::weak_ptr<void> node, uint64_t id) : node_(std::move(node)), id_(id) {}
  void remove();  ///< Does nothing the second time, or after the graph is gone.

 private:
  std::weak_ptr<void> node_;
  uint64_t id_ = 0;
};
/// Hooks run in the order of registration. AutogradError if the tensor requires no gradient.
HookHandle register_hook(const Tensor& tensor, GradientHook hook);

struct BackwardOptions {
  bool retain_graph = false;  ///< keep saved tensors, so that backward can run again
  Tensor gradient = {};  ///< d(objective)/d(root). Undefined: 1, for a root of one element (AutogradError for others)
  /// Leaves that on_leaf is told about. They must outlive the call.
  std::span<const Tensor> leaves = {};
  /// Called with the index of each of `leaves` once, as soon as the walk adds nothing more to its gradient and the
  /// leaf's hooks have run. A leaf that root does not depend on comes before the walk. The function may take the
  /// gradient (take_grad()). A leaf whose turn is not known beforehand, because a checkpoint's function captures it,
  /// comes after the last checkpoint.
  std::function<void(size_t index)> on_leaf = {};
};
/// Adds d(root)/d(leaf) to every leaf that root was computed from. Iterative: only memory bounds the depth of the
/// graph. Each operation's saved tensors are freed once used. AutogradError if root records no graph, the graph was
/// freed, or a saved tensor was written in place since (the text names the operation). ShapeError or DTypeError if
/// options.gradient does not fit root. Cost: one backward per recorded operation. Not thread-safe for one graph.
void backward(const Tensor& root, const BackwardOptions& options = {});

struct GradientsOptions {
  bool create_graph = false;  ///< record the computation of the gradients, so that they can be differentiated
  bool retain_graph = false;  ///< implied by create_graph
  /// give an undefined result, not an AutogradError, for an input that root does not depend on
  bool allow_unused = false;
  Tensor gradient = {};  ///< as in BackwardOptions
};
/// d(root)/d(input) for each input, leaf or not. The leaves' own gradients stay as they are. With create_graph every
/// operation on the way must be differentiable twice (Order::second in op_names.h); else AutogradError names the one
/// that is not. AutogradError for an input that requires no gradient. Other errors and the cost are those of
/// backward(). Parts of the graph that no input leads to are not walked.
std::vector<Tensor> gradients(const Tensor& root, const std::vector<Tensor>& inputs,
                              const GradientsOptions& options = {});

/// A tensor on the same elements (shared), outside the graph.
Tensor detach(const Tensor& tensor);

/// Whether operations on this thread are recorded. On by default.
bool grad_enabled();

/// While it lives, no operation on this thread is recorded.
class NoGradGuard {
 public:
  NoGradGuard();
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool previous_;
};

/// While it lives within a NoGradGuard, operations on this thread are recorded again. No effect in an InferenceGuard.
class EnableGradGuard {
 public:
  EnableGradGuard();
  ~EnableGradGuard();
  EnableGradGuard(const EnableGradGuard&) = delete;
  EnableGradGuard& operator=(const EnableGradGuard&) = delete;

 private:
  bool previous_;
};

/// A NoGradGuard that nothing inside can lift: EnableGradGuard does nothing and set_requires_grad throws AutogradError.
/// For serving.
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
/// that a backward computes. AutogradError names the forward operation of the first NaN. Slow: every result is read
/// once more.
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
