// A vertex of the graph: a leaf with its gradient, or one recorded operation. Private to this folder.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/graph.h>

namespace qing {

/// A gradient being summed. `valid` false: nothing yet, whatever memory `tensor` has. `shared`: others may hold the
/// same tensor, so it must not be written. `rows`, if not null: every other row of `tensor` is zero, valid or not, as
/// long as the tensor has the version it had then; ascending. `lent`: the memory is somebody's who may write it, so
/// rows are not tracked.
struct GradSlot {
  Tensor tensor;
  bool valid = false;
  bool shared = false;
  std::shared_ptr<const std::vector<int64_t>> rows = nullptr;
  uint64_t version = 0;
  bool lent = false;

  bool knows_rows() const { return rows != nullptr && tensor.version() == version; }
};

struct Node : std::enable_shared_from_this<Node> {
  const char* op = "leaf";
  Order differentiable = Order::first;
  bool leaf = true;
  bool released = false;  // backward has run and freed what it needs
  bool retain = false;    // keeps its gradient although it is no leaf
  Shape shape;
  DType dtype = DType::f32;
  // Grows with every node of the process: inputs have smaller numbers, so descending order is a topological one.
  uint64_t order = 0;
  std::vector<std::shared_ptr<Node>> inputs;  // null where no gradient is wanted
  BackwardFunction backward;

  GradSlot grad;     // what grad() gives
  GradSlot pending;  // of the walk under way, until this node has run
  std::vector<std::pair<uint64_t, GradientHook>> hooks;

  uint64_t visit = 0;   // the last walk that reached this node
  uint64_t useful = 0;  // the last walk that looks for the gradient of this node or of one below it

  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();
};

/// One run of the engine.
struct Walk {
  uint64_t id = 0;
  bool create_graph = false;  // gradients are differentiable themselves
  bool capture = false;       // gradients of `wanted` are handed out, and leaves are left alone
  std::unordered_map<const Node*, Tensor> wanted{};
};

/// A view's history follows from its base's: when a recorded write has given the base another node, node_of() replaces
/// that of the view.
struct GradMeta final : AutogradMeta {
  std::shared_ptr<Node> node;  // null for a view made under NoGradGuard of a recorded tensor
  uint64_t base_order = 0;     // of the base's node when `node` was made; 0 without a base or a node of it
  // The history cannot follow the base's: a view made under NoGradGuard, or a result of an operation that is no view
  // but shares memory with an input.
  bool fixed = false;

  // The members of Tensor of the same names: see autograd/ops/views.h and autograd/ops/in_place.cpp.
  Tensor reshape(const Tensor& x, const Shape& shape) const override;
  Tensor transpose(const Tensor& x, int64_t a, int64_t b) const override;
  Tensor permute(const Tensor& x, const std::vector<int64_t>& order) const override;
  Tensor expand(const Tensor& x, const Shape& shape) const override;
  Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) const override;
  Tensor select(const Tensor& x, int64_t dim, int64_t index) const override;
  Tensor squeeze(const Tensor& x, int64_t dim) const override;
  Tensor unsqueeze(const Tensor& x, int64_t dim) const override;
  Tensor view(const Tensor& x, std::function<Tensor(const Tensor&)> view) const override;
  Tensor clone(const Tensor& x) const override;
  Tensor to(const Tensor& x, DType dtype) const override;
  void copy_from(Tensor& x, const Tensor& source) const override;
  void add_(Tensor& x, const Tensor& other, Scalar alpha) const override;
  void sub_(Tensor& x, const Tensor& other, Scalar alpha) const override;
  void mul_(Tensor& x, const Tensor& other) const override;
  void div_(Tensor& x, const Tensor& other) const override;
  void clamp_(Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high) const override;
  void masked_fill_(Tensor& x, const Tensor& mask, Scalar value) const override;
  void overwrite(const char* op, Tensor& x, const std::function<void(Tensor&)>& write) const override;
};

/// The metadata of the tensor itself, or null.
inline GradMeta* meta_of(const Tensor& tensor) { return static_cast<GradMeta*>(tensor.autograd_meta()); }
/// The node of a tensor, or null. That of a view whose base has been written since is made anew, so the first use of a
/// view after such a write is not for two threads at a time. AutogradError if that is not possible: see GradMeta.
std::shared_ptr<Node> node_of(const Tensor& tensor);
/// Makes `tensor` the result of `node`.
void hang(Tensor& tensor, std::shared_ptr<Node> node);
/// The same, in place of the node that `tensor` was the result of: what retain_grad() asked for holds for the new one.
void replace_node(Tensor& tensor, std::shared_ptr<Node> node);

}  // namespace qing
