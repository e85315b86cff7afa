// Layout: how a tensor's elements lie in its storage (sizes, strides, offset). Pure integer algebra,
// no memory; every view operation is a function from layout to layout.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <qing/tensor/index.h>

namespace qing {

using Shape = std::vector<int64_t>;
using Strides = std::vector<int64_t>;

struct Layout {
  Shape sizes;
  Strides strides;     // in elements; 0 for a broadcast dimension
  int64_t offset = 0;  // in elements, from the storage's start

  static Layout contiguous(Shape sizes);

  int64_t dim() const { return static_cast<int64_t>(sizes.size()); }
  int64_t numel() const;
  bool is_contiguous() const;
  /// The lowest and the highest position in storage of any element; {0, -1} without elements. ValueError if a position
  /// does not fit 64 bits.
  std::pair<int64_t, int64_t> extent() const;
  /// False only if no two elements share a position; exact for every view this file makes.
  bool may_overlap_itself() const;

  Layout transpose(int64_t a, int64_t b) const;
  Layout permute(const std::vector<int64_t>& order) const;
  /// Elements start, start+step, ... before end of `dim`. Negative start and end count from the back; both are
  /// clamped as in Python. step > 0.
  Layout slice(int64_t dim, int64_t start, int64_t end, int64_t step = 1) const;
  Layout select(int64_t dim, int64_t index) const;
  Layout unsqueeze(int64_t dim) const;
  Layout squeeze(int64_t dim) const;
  /// Broadcasts dimensions of size 1, and adds leading ones; ShapeError otherwise.
  Layout expand(const Shape& target) const;
  /// The same elements in row-major order under `target`, if strides allow it without a copy. One size may be -1.
  std::optional<Layout> reshape(const Shape& target) const;

  // The rest is made of those above or of the same algebra (layout_views.cpp).

  /// NumPy's basic indexing: integers, slices, one Ellipsis, new axes; dimensions left over are taken whole. IndexError
  /// for too many indices, a second Ellipsis or a position out of range.
  Layout index(std::span<const Index> indices) const;
  /// Moves dimension from[i] to place to[i]; the others keep their order.
  Layout movedim(const std::vector<int64_t>& from, const std::vector<int64_t>& to) const;
  Layout squeeze() const;  ///< Removes every dimension of size 1.
  /// Elements start to start+length of `dim`; IndexError unless all exist. A negative start counts from the back.
  Layout narrow(int64_t dim, int64_t start, int64_t length) const;
  /// Dimensions first to last as one, where strides allow it.
  std::optional<Layout> flatten(int64_t first = 0, int64_t last = -1) const;
  /// `dim` as several; one of `sizes` may be -1.
  Layout unflatten(int64_t dim, const Shape& sizes) const;
  /// Elements whose place in dim2 is `offset` more than that in dim1, as a new last dimension in place of the two.
  Layout diagonal(int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) const;
  /// Windows of `size` elements every `step` of `dim`, which then counts windows; their elements are a new last
  /// dimension. Windows overlap when step < size.
  Layout unfold(int64_t dim, int64_t size, int64_t step) const;
};

int64_t numel_of(const Shape& shape);       ///< Product of sizes; ValueError on a negative size or overflow.
std::string to_string(const Shape& shape);  ///< "[2, 3]"
/// Resolves a negative dimension; IndexError naming `op` when out of range.
int64_t wrap_dim(int64_t dim, int64_t rank, const char* op);
/// NumPy's broadcasting rule; ShapeError naming `op` and both shapes.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op);
/// Replaces a single -1 in `target`; ShapeError when the count of elements differs.
Shape infer_shape(const Shape& target, int64_t numel, const char* op);

}  // namespace qing
