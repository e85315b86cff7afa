// The three operations of convolve.h on images whose pixels have their channels side by side (pixel_rows.h). Each image
// is copied into such pixels, a block of rows at a time, and results are copied back. No columns are made, so this is
// faster than im2col as soon as the filters fill vectors.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/convolution_shape.h>

namespace qing {

/// Whether convolve_windows() and weight_windows() are faster for this convolution than im2col.
template <class T> bool prefers_windows(const Convolution& c);
/// Whether transposed_windows() can compute it and is faster.
template <class T> bool prefers_transposed_windows(const Convolution& c);

/// Errors and arguments as convolve(), convolve_transposed() and convolve_weight(); `accumulate` adds to dx too.
template <class T> void convolve_windows(const Convolution& c, const T* x, const T* weight, const T* bias, T* y);
template <class T> void transposed_windows(const Convolution& c, const T* weight, const T* dy, T* dx, bool accumulate);
template <class T> void weight_windows(const Convolution& c, const T* x, const T* dy, T* dweight, bool accumulate);

}  // namespace qing
