// Sorting and selecting along a dimension. Any dtype. Floating values are differentiable any number of times; the
// gradient goes to the elements that they came from. NaN sorts above everything; equal elements keep their order.
// IndexError if `dim` is out of range. Indices are i64.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/ops/sort.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Sorted values, of x's shape, and their indices. Always stable. O(n log n) per lane.
ValuesAndIndices sort(const Tensor& x, int64_t dim = -1, bool descending = false);
Tensor argsort(const Tensor& x, int64_t dim = -1, bool descending = false);
/// The k largest or smallest elements, in order. ValueError unless 0 ≤ k ≤ size.
ValuesAndIndices topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true);
/// The k-th smallest element, counted from 1. ValueError unless 1 ≤ k ≤ size.
ValuesAndIndices kthvalue(const Tensor& x, int64_t k, int64_t dim = -1, bool keepdim = false);
/// The lower of two medians; NaN if there is one. The index may be that of any equal element. ValueError for no
/// elements.
ValuesAndIndices median(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor median(const Tensor& x);  ///< of all elements; equal ones share the gradient
/// How a quantile between two elements is made: between them by its place, of the lower, the higher or the nearer one
/// (the even one in the middle), or as their mean.
enum class QuantileInterpolation { linear, lower, higher, nearest, midpoint };
/// The q-quantiles along `dim`: the element at q·(n−1) of the sorted ones. NaN where a lane has one. One q drops the
/// dimension or, with keepdim, leaves 1; several come first: [quantiles, ...]. f32 or f64 (DTypeError). ValueError
/// unless all q are in [0, 1], and for no elements.
Tensor quantile(const Tensor& x, double q, int64_t dim, bool keepdim = false,
                QuantileInterpolation interpolation = QuantileInterpolation::linear);
Tensor quantile(const Tensor& x, const std::vector<double>& q, int64_t dim, bool keepdim = false,
                QuantileInterpolation interpolation = QuantileInterpolation::linear);
Tensor quantile(const Tensor& x, double q);  ///< of all elements
/// The largest element and its first index; NaN wins. ValueError for no elements.
ValuesAndIndices max(const Tensor& x, int64_t dim, bool keepdim = false);
ValuesAndIndices min(const Tensor& x, int64_t dim, bool keepdim = false);
/// The largest or smallest element so far, at each position, and the last index where it occurred.
ValuesAndIndices cummax(const Tensor& x, int64_t dim);
ValuesAndIndices cummin(const Tensor& x, int64_t dim);

}  // namespace qing
