// Tests for elements that are not 0 (NaN is not 0), for any dtype. Dimensions may be negative (IndexError if out of
// range) and must differ (ValueError); an empty list means all.
#pragma once

#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// bool; false for no elements
Tensor any(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
/// bool; true for no elements
Tensor all(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor count_nonzero(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);  ///< i64
/// The positions of the nonzero elements in row-major order: [count, x.dim()], i64.
Tensor nonzero(const Tensor& x);

}  // namespace qing
