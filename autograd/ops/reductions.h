// Reductions over all elements or over some dimensions.
#pragma once

#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

Tensor sum(const Tensor& x);  ///< of all elements; shape []
Tensor sum(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);
/// Sums x down to `shape`, which broadcasts to x's: what undoes expand. ShapeError if it does not. x itself if the shapes
/// are the same.
Tensor sum_to_shape(const Tensor& x, const Shape& shape);

}  // namespace qing
