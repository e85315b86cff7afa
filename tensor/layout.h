// Layout: how a tensor's elements lie in its storage (sizes, strides, offset). Pure integer arithmetic without memory:
// every view operation is a function from layout to layout. Thread-safe: no function changes its Layout.
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

/// Dimensions in arguments may be negative and count from the back. Every function throws IndexError for a dimension
/// out of range.
struct Layout {
  Shape sizes;
  Strides strides;     // in elements; 0 for a broadcast dimension
  int64_t offset = 0;  // in elements, from the storage's start

  /// Row-major from offset 0. ValueError if a size is negative or the elements overflow 64 bits.
  static Layout contiguous(Shape sizes);

  int64_t dim() const { return static_cast<int64_t>(sizes.size()); }
  int64_t numel() const;
  bool is_contiguous() const;
  /// The lowest and the highest position of an element in storage; {0, -1} without elements. ValueError if a position
  /// overflows 64 bits.
  std::pair<int64_t, int64_t> extent() const;
  /// False only if no two elements share a position. Exact for every view that this file makes.
  bool may_overlap_itself() const;

  /// Swaps two dimensions.
  Layout transpose(int64_t a, int64_t b) const;
  /// Dimension i of the result is order[i]. ShapeError unless `order` has dim() entries, ValueError if one stands
  /// twice.
  Layout permute(const std::vector<int64_t>& order) const;
  /// Elements start, start + step, ... before end of `dim`. Negative bounds count from the back; both are clamped as in
  /// Python. ValueError if step < 1.
  Layout slice(int64_t dim, int64_t start, int64_t end, int64_t step = 1) const;
  /// Removes `dim`, at one position. IndexError if `index` is out of range.
  Layout select(int64_t dim, int64_t index) const;
  /// Inserts a dimension of size 1, which is `dim` of the result.
  Layout unsqueeze(int64_t dim) const;
  /// Removes `dim`. ShapeError unless its size is 1.
  Layout squeeze(int64_t dim) const;
  /// Broadcasts dimensions of size 1 and adds leading ones, with stride 0. ShapeError if a size does not fit.
  Layout expand(const Shape& target) const;
  /// The same elements in row-major order under `target`; none if that takes a copy. One size may be -1. ShapeError if
  /// the number of elements differs.
  std::optional<Layout> reshape(const Shape& target) const;

  // Views made of the functions above or of the same arithmetic (layout_views.cpp).

  /// NumPy's basic indexing: integers, slices, one Ellipsis, new axes. Remaining dimensions are taken whole. IndexError
  /// for too many indices, a second Ellipsis or a position out of range; ValueError for a step below 1.
  Layout index(std::span<const Index> indices) const;
  /// Moves dimension from[i] to place to[i]; the others keep their order. ShapeError if the lists differ in length,
  /// ValueError if one names a dimension twice.
  Layout movedim(const std::vector<int64_t>& from, const std::vector<int64_t>& to) const;
  Layout squeeze() const;  ///< Removes every dimension of size 1.
  /// Elements start to start+length of `dim`. IndexError unless all exist. A negative start counts from the back.
  Layout narrow(int64_t dim, int64_t start, int64_t length) const;
  /// Joins dimensions first to last into one; none if that takes a copy. ValueError if first comes after last.
  std::optional<Layout> flatten(int64_t first = 0, int64_t last = -1) const;
  /// Splits `dim` into `sizes`; one may be -1. ShapeError if there are none or they do not multiply to its size.
  Layout unflatten(int64_t dim, const Shape& sizes) const;
  /// The elements whose index in dim2 exceeds that in dim1 by `offset`. They form a new last dimension, which replaces
  /// both. ValueError if dim1 is dim2.
  Layout diagonal(int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) const;
  /// Windows of `size` elements that start every `step` elements of `dim`. `dim` then counts windows, and a new last
  /// dimension holds their elements. Windows overlap when step < size. ValueError if size or step < 1, ShapeError if
  /// size exceeds the dimension.
  Layout unfold(int64_t dim, int64_t size, int64_t step) const;
};

int64_t numel_of(const Shape& shape);       ///< Product of sizes. ValueError for a negative size or overflow.
std::string to_string(const Shape& shape);  ///< "[2, 3]"
/// The dimension with a negative one resolved. IndexError naming `op` if it is out of range.
int64_t wrap_dim(int64_t dim, int64_t rank, const char* op);
/// The shape by NumPy's broadcasting rule. ShapeError naming `op` and both shapes if there is none.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op);
/// `target` with a single -1 resolved. ShapeError naming `op` if the number of elements differs.
Shape infer_shape(const Shape& target, int64_t numel, const char* op);

}  // namespace qing
