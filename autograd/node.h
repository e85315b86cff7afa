// A vertex of the graph: a leaf with its gradient, or one recorded operation. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <qing/autograd/graph.h>

namespace qing {

struct Node {
  const char* op = "leaf";
  bool leaf = true;
  bool released = false;  // backward has run and freed what it needs
  Shape shape;
  DType dtype = DType::f32;
  // Grows with every node of the process: inputs have smaller numbers, so descending order is a topological one.
  uint64_t order = 0;
  std::vector<std::shared_ptr<Node>> inputs;  // null where no gradient is wanted
  BackwardFunction backward;

  // The gradient of the output. `grad_valid` false: nothing yet, whatever memory `grad` has. `grad_shared`: others may
  // hold the same tensor, so it must not be written.
  Tensor grad;
  bool grad_valid = false;
  bool grad_shared = false;

  uint64_t visit = 0;  // the last walk that reached this node

  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();
};

struct GradMeta : AutogradMeta {
  std::shared_ptr<Node> node;
};

/// The node of a tensor, or null.
std::shared_ptr<Node> node_of(const Tensor& tensor);

}  // namespace qing
