// The gradient of one parameter by some chunks of a batch, and the sums of such gradients in the order of the tree
// (chunk_tree.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <qing/optim/parallel/chunk_tree.h>
#include <qing/tensor/tensor.h>

namespace qing::optim {

/// A gradient that is absent, dense, or known by its rows. A row that it lacks counts as absent, so that a sum takes
/// the other side's row as it is.
struct PartialGradient {
  Tensor dense = {};               ///< of the parameter's shape
  std::vector<int64_t> rows = {};  ///< ascending
  Tensor values = {};              ///< [rows, ...]: their elements; undefined unless the gradient is known by rows

  bool by_rows() const { return values.defined(); }
  bool present() const { return dense.defined() || by_rows(); }
};

/// Takes the gradient of a parameter, which has none afterwards. The memory of a table's gradient stays with the table.
PartialGradient take_partial(const Tensor& parameter);

/// Turns a gradient by rows into a dense one of the shape.
void make_dense(PartialGradient& gradient, const Shape& shape);
/// Turns a dense gradient into one by all its rows.
void make_rows(PartialGradient& gradient);

/// Returns left + right. The result has the memory of an argument.
PartialGradient sum_of(PartialGradient left, PartialGradient right);

/// A node of the tree with the sum of its chunks.
struct SumNode {
  ChunkRange range;
  PartialGradient gradient;
};

/// The sums of one parameter's gradients over consecutive chunks. They are summed as soon as two halves of a node are
/// there, so few are kept. Not thread-safe.
class ChunkSums {
 public:
  explicit ChunkSums(int chunks) : chunks_(chunks) {}
  /// Adds the gradient of the next chunk.
  void add(int chunk, PartialGradient gradient);
  /// The largest nodes of the chunks so far.
  std::vector<SumNode>& nodes() { return nodes_; }

 private:
  int chunks_;
  std::vector<SumNode> nodes_;
};

/// Returns the sum of the tree over `chunks` chunks. `nodes` are in order and cover all chunks. They are used up.
PartialGradient sum_of_tree(std::vector<SumNode> nodes, int chunks);

}  // namespace qing::optim
