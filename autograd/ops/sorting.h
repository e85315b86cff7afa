// Sorting and choosing along a dimension. Any dtype; the gradient of floating values goes to the elements they came
// from, any number of times. NaN is above everything; equal elements keep their order. IndexError for a dimension out
// of range.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/sort.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Always stable. O(n log n) a lane.
ValuesAndIndices sort(const Tensor& x, int64_t dim = -1, bool descending = false);
Tensor argsort(const Tensor& x, int64_t dim = -1, bool descending = false);
/// The k largest or smallest, in order. ValueError unless 0 ≤ k ≤ size.
ValuesAndIndices topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true);
/// The k-th smallest, k counting from 1. ValueError for another k.
ValuesAndIndices kthvalue(const Tensor& x, int64_t k, int64_t dim = -1, bool keepdim = false);
/// The lower of two medians, and NaN if there is one. Of equal elements any may be the one. ValueError of nothing.
ValuesAndIndices median(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor median(const Tensor& x);  ///< of all elements; those equal to it share the gradient
/// The largest and its first place; NaN wins. ValueError of nothing.
ValuesAndIndices max(const Tensor& x, int64_t dim, bool keepdim = false);
ValuesAndIndices min(const Tensor& x, int64_t dim, bool keepdim = false);
/// At each place the largest or smallest up to there, and the last place it was seen at.
ValuesAndIndices cummax(const Tensor& x, int64_t dim);
ValuesAndIndices cummin(const Tensor& x, int64_t dim);

}  // namespace qing
