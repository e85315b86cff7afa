// Which elements are not 0 (NaN is not), for any dtype. Dimensions may be negative and must differ (ValueError); no
// dimensions at all means every one.
#pragma once

#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

Tensor any(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);  ///< bool; of nothing: false
Tensor all(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);  ///< bool; of nothing: true
Tensor count_nonzero(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);  ///< i64
/// The positions of the true elements in row-major order: [count, x.dim()], i64.
Tensor nonzero(const Tensor& x);

}  // namespace qing
