// Convolution in two dimensions and its two transposes, without gradients, on contiguous memory. By im2col: the windows
// of some rows of an image become the columns of a matrix that GEMM multiplies by the filters. At most kColumnElements
// of them exist at a time in each thread, or one row of windows if that is more. Where a group has few filters, as in
// depthwise convolution, without columns: see direct_convolution.h.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/window.h>

namespace qing {

inline constexpr int64_t kColumnElements = 1 << 18;

/// x is [images, channels, h.in, w.in], the weight [filters, channels/groups, h.kernel, w.kernel], y [images, filters,
/// h.out, w.out]; a filter of group g sees the channels of group g. groups divides channels and filters.
struct Convolution {
  int64_t images, channels, filters, groups;
  Window h, w;

  int64_t group_channels() const { return channels / groups; }
  int64_t group_filters() const { return filters / groups; }
  int64_t depth() const { return group_channels() * h.kernel * w.kernel; }  ///< products in an element of y
  int64_t in_pixels() const { return h.in * w.in; }
  int64_t out_pixels() const { return h.out * w.out; }
};

/// y[n, f] = bias[f] + Σ_c weight[f, c] ⋆ x[n, c] (cross-correlation); bias may be null. An image's bits do not depend
/// on the others.
template <class T> void convolve(const Convolution& c, const T* x, const T* weight, const T* bias, T* y);
/// dx += the gradient by x of Σ dy·y.
template <class T> void convolve_transposed(const Convolution& c, const T* weight, const T* dy, T* dx);
/// dweight = the gradient by the weight of Σ dy·y, or += when accumulate.
template <class T> void convolve_weight(const Convolution& c, const T* x, const T* dy, T* dweight, bool accumulate);

}  // namespace qing
