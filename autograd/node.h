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

/// A gradient being summed. `valid`: false as long as nothing has been added, even if `tensor` has memory. `shared`:
/// others may hold the same tensor, so it must not be written. `rows`: if not null, ascending; every other row of
/// `tensor` is zero, even if not valid, as long as the tensor's version equals `version`. `lent`: the owner of the
/// memory may write it, so rows are not tracked.
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
  bool retain = false;    // keeps its gradient although it is not a leaf
  Shape shape;
  DType dtype = DType::f32;
  // Increases with every node of the process. Inputs have smaller numbers, so a descending order is topological.
  uint64_t sequence_number = 0;
  std::vector<std::shared_ptr<Node>> inputs;  // null where no gradient is wanted
  BackwardFunction backward;

  GradSlot grad;     // the gradient that grad() returns
  GradSlot pending;  // the gradient in the current walk, until this node has run
  std::vector<std::pair<uint64_t, GradientHook>> hooks;

  uint64_t visit = 0;   // the last walk that reached this node
  uint64_t useful = 0;  // the last walk that needs the gradient of this node or of one below it

  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();
};

/// One run of the engine.
struct Walk {
  uint64_t id = 0;
  bool create_graph = false;  // gradients are differentiable
  bool capture = false;       // return the gradients of `wanted`, and leave leaves alone
  std::unordered_map<const Node*, Tensor> wanted{};
};

/// A view's history follows its base's. When a recorded write gives the base a new node, node_of() replaces the view's
/// node.
struct GradMeta final : AutogradMeta {
  std::shared_ptr<Node> node;         // null for a view of a recorded tensor that was made under NoGradGuard
  uint64_t base_sequence_number = 0;  // that of the base's node when `node` was made; 0 without such a node
  // True if the history cannot follow the base's: for a view made under NoGradGuard, and for the result of an operation
  // that is not a view but shares memory with an input.
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

/// The tensor's own metadata, or null.
inline GradMeta* meta_of(const Tensor& tensor) { return static_cast<GradMeta*>(tensor.autograd_meta()); }
/// The tensor's node, or null. If the base of a view has been written since, the view gets a new node. So the first use
/// of a view after such a write is not thread-safe. AutogradError if no new node can be made: see GradMeta.
std::shared_ptr<Node> node_of(const Tensor& tensor);
/// Makes `tensor` the result of `node`.
void hang(Tensor& tensor, std::shared_ptr<Node> node);
/// Replaces the node that `tensor` was the result of. The new node retains its gradient if the old one did.
void replace_node(Tensor& tensor, std::shared_ptr<Node> node);

}  // namespace qing
