// Sorting and choosing along a dimension, of any dtype, without gradients. NaN is above everything; equal elements keep
// their order, so results are the same everywhere.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

struct ValuesAndIndices {
  Tensor values;
  Tensor indices;  ///< i64, along the dimension
};

// `dims` is one dimension, or none for a tensor without any (see resolve_dim in lanes.h); it stays, with the size said.

/// All elements in order.
ValuesAndIndices sorted_along(const Tensor& x, const std::vector<int64_t>& dims, bool descending);
/// The k largest or smallest (0 ≤ k ≤ size), the most extreme first.
ValuesAndIndices top_along(const Tensor& x, const std::vector<int64_t>& dims, int64_t k, bool largest);
/// The element that sorting would put at place `rank` (0 ≤ rank < size); size 1.
ValuesAndIndices ranked_along(const Tensor& x, const std::vector<int64_t>& dims, int64_t rank);
/// The lower median, or NaN if there is one; size 1. ValueError naming `op` if there is nothing.
ValuesAndIndices median_along(const Tensor& x, const std::vector<int64_t>& dims, const char* op);
/// The first of the largest or smallest, NaN before any number; size 1. ValueError naming `op` if there is nothing.
ValuesAndIndices extreme_along(const Tensor& x, const std::vector<int64_t>& dims, bool largest, const char* op);
/// At each place, the largest or smallest up to there: the last of equal ones; NaN stays once it came.
ValuesAndIndices running_extreme(const Tensor& x, const std::vector<int64_t>& dims, bool largest);

}  // namespace qing
