// Sorting and selecting along a dimension, of any dtype, without gradients. NaN sorts above everything. Equal elements
// keep their order, so results are the same everywhere.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

struct ValuesAndIndices {
  Tensor values;
  Tensor indices;  ///< i64, positions along the dimension
};

// `dims` is one dimension, or empty for a tensor without any (see resolve_dim in lanes.h). The dimension stays, with
// the size stated.

/// All elements in order.
ValuesAndIndices sorted_along(const Tensor& x, const std::vector<int64_t>& dims, bool descending);
/// The k largest or smallest (0 ≤ k ≤ size), most extreme first.
ValuesAndIndices top_along(const Tensor& x, const std::vector<int64_t>& dims, int64_t k, bool largest);
/// The element that sorting would put at position `rank` (0 ≤ rank < size); size 1.
ValuesAndIndices ranked_along(const Tensor& x, const std::vector<int64_t>& dims, int64_t rank);
/// The lower median, or NaN if there is one; size 1. ValueError naming `op` for no elements.
ValuesAndIndices median_along(const Tensor& x, const std::vector<int64_t>& dims, const char* op);
/// The first of the largest or smallest; NaN comes before any number; size 1. ValueError naming `op` for no elements.
ValuesAndIndices extreme_along(const Tensor& x, const std::vector<int64_t>& dims, bool largest, const char* op);
/// The largest or smallest element so far, at each position; the last of equal ones. From the first NaN on, NaN.
ValuesAndIndices running_extreme(const Tensor& x, const std::vector<int64_t>& dims, bool largest);

}  // namespace qing
