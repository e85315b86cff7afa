// Reductions, without gradients. Long lanes are cut into fixed chunks whose results are joined in order, so that bits
// do not depend on the number of threads. f32 is summed in f64.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// The sums of all columns in double: Σ_i x[i·ldx + j] for column j. x is rows × columns.
template <class T> std::vector<double> column_sums(int64_t rows, int64_t columns, const T* x, int64_t ldx);
/// out[j] = Σ_i x[i·ldx + j], or += if accumulate. x is rows × columns.
template <class T> void sum_rows(int64_t rows, int64_t columns, const T* x, int64_t ldx, T* out, bool accumulate);

/// Sums x down to `shape`, which broadcasts to x's: the transpose of Tensor::expand. f32 or f64; ShapeError otherwise.
Tensor sum_to(const Tensor& x, const Shape& shape);

// These reduce over `dims` (resolved: see lanes.h), which stay with size 1. x may have any strides.

/// The number of elements that are reduced to one result.
int64_t count_over(const Tensor& x, const std::vector<int64_t>& dims);
/// f32 and f64 in their own dtype, integers and bool in i64 (modulo 2^64). 0 for no elements.
Tensor sum_over(const Tensor& x, const std::vector<int64_t>& dims);
/// Products of integers and bool, in i64 (modulo 2^64). 1 for no elements.
Tensor product_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op);
/// The largest or the smallest element, of any dtype; NaN if there is one. ValueError naming `op` for no elements.
Tensor extreme_over(const Tensor& x, const std::vector<int64_t>& dims, bool largest, const char* op);
/// The sum divided by the number of elements; NaN for no elements. f32 is summed in double, and the quotient is rounded
/// once. f64 is summed in f64. DTypeError naming `op` for other dtypes.
Tensor mean_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op);
/// Σ (x − mean)² / degrees, or its root, rounded once. The mean is kept in wider arithmetic, so equal elements give 0.
Tensor variance_over(const Tensor& x, const std::vector<int64_t>& dims, double degrees, bool root, const char* op);
/// (Σ |x|^p)^(1/p), also where the sum exceeds the range of double. p = 0 gives the number of nonzero elements, ∞ the
/// largest |x|, −∞ the smallest.
Tensor norm_over(const Tensor& x, double p, const std::vector<int64_t>& dims, const char* op);
/// log Σ exp(x), shifted by the largest element. −∞ for no elements.
Tensor logsumexp_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op);

}  // namespace qing
