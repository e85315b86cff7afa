// Reductions over all elements or over some dimensions, of tensors of any strides. `dims` may be negative; an empty
// list means all dimensions, as in PyTorch. `keepdim` keeps reduced dimensions with size 1. IndexError if a dimension
// is out of range, ValueError if one is given twice. f32 or f64 (DTypeError) unless stated otherwise. f32 is summed in
// f64.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

Tensor sum(const Tensor& x);  ///< over all elements; shape []
/// Integers and bool are summed in i64. The sum of no elements is 0.
Tensor sum(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);
Tensor mean(const Tensor& x);
/// The sum divided by the number of elements; NaN for no elements. f32 is summed in double, and the quotient is rounded
/// once. f64 is summed in f64.
Tensor mean(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);
/// Sums x down to `shape`, which broadcasts to x's shape (ShapeError): the transpose of expand. Returns x itself if its
/// shape is the same.
Tensor sum_to_shape(const Tensor& x, const Shape& shape);

/// Σ (x − mean)² / max(0, n − correction). NaN for too few elements. Equal elements give 0, with gradient 0. The mean
/// of f32 stays in double, and the squares are taken in double.
Tensor var(const Tensor& x, const std::vector<int64_t>& dims = {}, double correction = 1, bool keepdim = false);
/// The square root of var.
Tensor std(const Tensor& x, const std::vector<int64_t>& dims = {}, double correction = 1, bool keepdim = false);

Tensor prod(const Tensor& x);
/// Integers and bool are multiplied in i64. The product of no elements is 1. The gradient is exact where elements are
/// 0.
Tensor prod(const Tensor& x, int64_t dim, bool keepdim = false);

/// The largest and the smallest element, of any dtype; NaN wins. Equal ones share the gradient. ValueError if there are
/// no elements.
Tensor amax(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor max(const Tensor& x);  ///< amax over all elements
Tensor min(const Tensor& x);  ///< amin over all elements

Tensor logsumexp(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);  ///< −∞ for no elements
/// The vector norm (Σ |x|^p)^(1/p) for any p. p = 0 gives the number of nonzero elements, ∞ the largest |x|, −∞ the
/// smallest. Correct also where the powers overflow or vanish: the norm of {3e200, 4e200} in f64 is 5e200. The gradient
/// is 0 where it is undefined: at a norm of 0 (for negative p, wherever an element is 0). ValueError for no elements
/// with a negative or infinite p.
Tensor norm(const Tensor& x, double p = 2, const std::vector<int64_t>& dims = {}, bool keepdim = false);

}  // namespace qing
