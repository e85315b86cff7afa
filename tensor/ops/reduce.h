// Sums, without gradients. Partial sums are over fixed chunks added in order, so that the number of threads does not
// change a bit.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// out[j] = Σ_i x[i·ldx + j], or += when accumulate; x is rows × columns.
template <class T>
void sum_rows(int64_t rows, int64_t columns, const T* x, int64_t ldx, T* out, bool accumulate);

/// Sums x down to `shape`, which broadcasts to x's: the transpose of Tensor::expand. f32 or f64; ShapeError otherwise.
Tensor sum_to(const Tensor& x, const Shape& shape);

/// Σ x² over a contiguous f32 or f64 tensor, accumulated in double.
double sum_of_squares(const Tensor& x);

}  // namespace qing
