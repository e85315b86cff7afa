// Layout: how a tensor's elements lie in its storage (sizes, strides, offset). Pure integer algebra,
// no memory; every view operation is a function from layout to layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
};

int64_t numel_of(const Shape& shape);  ///< Product of sizes; ValueError on a negative size or overflow.
std::string to_string(const Shape& shape);  ///< "[2, 3]"
/// Resolves a negative dimension; IndexError naming `op` when out of range.
int64_t wrap_dim(int64_t dim, int64_t rank, const char* op);
/// NumPy's broadcasting rule; ShapeError naming `op` and both shapes.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op);
/// Replaces a single -1 in `target`; ShapeError when the count of elements differs.
Shape infer_shape(const Shape& target, int64_t numel, const char* op);

}  // namespace qing
