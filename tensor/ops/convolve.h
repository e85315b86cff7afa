// Convolution in two dimensions and its two transposes, without gradients, on contiguous memory. By im2col: the windows
// of some rows of an image become the columns of a matrix that GEMM multiplies by the filters. At most kColumnElements
// of them exist at a time in each thread, or one row of windows if that is more. Where a group has few filters, as in
// depthwise convolution, without columns: see direct_convolution.h.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/convolution_shape.h>

namespace qing {

inline constexpr int64_t kColumnElements = 1 << 18;

/// y[n, f] = bias[f] + Σ_c weight[f, c] ⋆ x[n, c] (cross-correlation); bias may be null. An image's bits do not depend
/// on the others.
template <class T> void convolve(const Convolution& c, const T* x, const T* weight, const T* bias, T* y);
/// dx += the gradient by x of Σ dy·y.
template <class T> void convolve_transposed(const Convolution& c, const T* weight, const T* dy, T* dx);
/// dweight = the gradient by the weight of Σ dy·y, or += when accumulate.
template <class T> void convolve_weight(const Convolution& c, const T* x, const T* dy, T* dweight, bool accumulate);

}  // namespace qing
