// Convolution in two dimensions and its two transposes, without gradients, on contiguous memory. Filters that fill
// vectors meet the windows where they lie (window_convolution.h). Groups of few filters, as in depthwise convolution,
// are summed tap by tap (direct_convolution.h). The rest uses im2col: the windows of some rows of an image become the
// columns of a matrix, which GEMM multiplies by the filters. Each thread holds at most kColumnElements of them at a
// time, or one row of windows if that is more.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/convolution_shape.h>

namespace qing {

inline constexpr int64_t kColumnElements = 1 << 18;

/// y[n, f] = bias[f] + Σ_c weight[f, c] ⋆ x[n, c] (cross-correlation). bias may be null. An image's bits do not depend
/// on other images.
template <class T> void convolve(const Convolution& c, const T* x, const T* weight, const T* bias, T* y);
/// dx = the gradient of Σ dy·y with respect to x, or += if accumulate.
template <class T> void convolve_transposed(const Convolution& c, const T* weight, const T* dy, T* dx, bool accumulate);
/// dweight = the gradient of Σ dy·y with respect to the weight, or += if accumulate.
template <class T> void convolve_weight(const Convolution& c, const T* x, const T* dy, T* dweight, bool accumulate);

}  // namespace qing
