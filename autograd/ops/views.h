// Views: the result shares storage with x where x's strides allow. The members of Tensor of the same names do the same.
#pragma once

#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

Tensor reshape(const Tensor& x, const Shape& shape);  ///< one size may be −1
Tensor transpose(const Tensor& x, int64_t a, int64_t b);
Tensor permute(const Tensor& x, const std::vector<int64_t>& order);
Tensor expand(const Tensor& x, const Shape& shape);
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step = 1);
Tensor select(const Tensor& x, int64_t dim, int64_t index);
Tensor squeeze(const Tensor& x, int64_t dim);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor clone(const Tensor& x);  ///< a contiguous copy
/// Converts. The gradient flows between f32 and f64; a result of another dtype is outside the graph.
Tensor to(const Tensor& x, DType dtype);

}  // namespace qing
