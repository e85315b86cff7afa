// Reductions, without gradients. Long lanes are cut into fixed chunks whose results are joined in order, so that the
// number of threads does not change a bit. f32 is summed in f64.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// Σ_i x[i·ldx + j] of every column j in double; x is rows × columns.
template <class T> std::vector<double> column_sums(int64_t rows, int64_t columns, const T* x, int64_t ldx);
/// out[j] = Σ_i x[i·ldx + j], or += when accumulate; x is rows × columns.
template <class T> void sum_rows(int64_t rows, int64_t columns, const T* x, int64_t ldx, T* out, bool accumulate);

/// Sums x down to `shape`, which broadcasts to x's: the transpose of Tensor::expand. f32 or f64; ShapeError otherwise.
Tensor sum_to(const Tensor& x, const Shape& shape);

// The following reduce over `dims` (resolved: see lanes.h), which stay as sizes of 1; x may have any strides.

/// The number of elements that are reduced to one.
int64_t count_over(const Tensor& x, const std::vector<int64_t>& dims);
/// f32 and f64 in their own dtype, integers and bool in i64 (modulo 2^64). 0 of nothing.
Tensor sum_over(const Tensor& x, const std::vector<int64_t>& dims);
/// Products of integers and bool, in i64 (modulo 2^64). 1 of nothing.
Tensor product_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op);
/// The largest or the smallest, of any dtype; NaN if there is one. ValueError naming `op` if there is nothing.
Tensor extreme_over(const Tensor& x, const std::vector<int64_t>& dims, bool largest, const char* op);
/// The sum divided by the number of elements; NaN of nothing. f32 is summed in double and the quotient is rounded once.
/// f64 is summed in f64. f32 or f64: DTypeError naming `op`.
Tensor mean_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op);
/// Σ (x − mean)² / degrees, or its root, rounded once. The mean is that of wider arithmetic: 0 of equal elements.
Tensor variance_over(const Tensor& x, const std::vector<int64_t>& dims, double degrees, bool root, const char* op);
/// (Σ |x|^p)^(1/p), also where the sum is outside the range of double; the number of elements other than 0 for p = 0,
/// the largest |x| for ∞, the smallest for −∞.
Tensor norm_over(const Tensor& x, double p, const std::vector<int64_t>& dims, const char* op);
/// log Σ exp(x), shifted by the largest; −∞ of nothing.
Tensor logsumexp_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op);

}  // namespace qing
