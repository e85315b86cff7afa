// Running sums and products along a dimension. Results have x's shape. IndexError if `dim` is out of range.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// y[i] = x[0] + ... + x[i]. f32 is summed in f64; integers and bool in i64.
Tensor cumsum(const Tensor& x, int64_t dim);
/// y[i] = x[0]·...·x[i], in the same dtypes. The gradient is exact where elements are 0.
Tensor cumprod(const Tensor& x, int64_t dim);

}  // namespace qing
