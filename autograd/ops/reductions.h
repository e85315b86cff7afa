// Reductions over all elements or over some dimensions. `dims` may be negative; an empty list means all of them, as in
// PyTorch. `keepdim` leaves reduced dimensions with size 1. IndexError for a dimension out of range, ValueError for one
// given twice. f32 or f64 unless said otherwise; x may have any strides. f32 is summed in f64.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

Tensor sum(const Tensor& x);  ///< of all elements; shape []
/// Integers and bool are summed in i64. 0 of nothing.
Tensor sum(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);
Tensor mean(const Tensor& x);
/// The sum divided by the number of elements; NaN of nothing. f32 is summed in double and the quotient is rounded once.
/// f64 is summed in f64.
Tensor mean(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);
/// Sums x down to `shape`, which broadcasts to x's: what undoes expand. ShapeError if it does not. x itself if its
/// shape is the same.
Tensor sum_to_shape(const Tensor& x, const Shape& shape);

/// Σ (x − mean)² / max(0, n − correction): NaN for too few elements. 0 of equal elements, with a gradient of 0. The
/// mean is that of double, and f32 is squared in double, too.
Tensor var(const Tensor& x, const std::vector<int64_t>& dims = {}, double correction = 1, bool keepdim = false);
Tensor std(const Tensor& x, const std::vector<int64_t>& dims = {}, double correction = 1, bool keepdim = false);

Tensor prod(const Tensor& x);
/// Integers and bool are multiplied in i64. 1 of nothing. The gradient is exact where elements are 0.
Tensor prod(const Tensor& x, int64_t dim, bool keepdim = false);

/// The largest and the smallest, of any dtype; NaN wins. Equal ones share the gradient. ValueError if there is nothing
/// to choose from.
Tensor amax(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, const std::vector<int64_t>& dims = {}, bool keepdim = false);
Tensor max(const Tensor& x);  ///< amax over all
Tensor min(const Tensor& x);  ///< amin over all

Tensor logsumexp(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);  ///< −∞ of nothing
/// The vector norm (Σ |x|^p)^(1/p) for any p: the number of elements other than 0 for p = 0, the largest |x| for ∞, the
/// smallest for −∞. Also where the powers overflow or vanish: {3e200, 4e200} in f64 has the norm 5e200. Its gradient is
/// 0 where it is not defined: at a norm of 0, which a negative p gives where an element is 0. ValueError of nothing for
/// a negative or infinite p.
Tensor norm(const Tensor& x, double p = 2, const std::vector<int64_t>& dims = {}, bool keepdim = false);

}  // namespace qing
