// Convolution of images in memory whose pixels have their channels side by side, on the calling thread. A window's row
// is then one run of memory, which the kernel (kernels/windows.inl) multiplies by filters in panels. Nothing is copied.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// Where an image's pixels are: pixel (i, j) begins at data + i·row + j·pixel.
template <class T> struct Pixels {
  T* data;
  int64_t row, pixel;

  T* at(int64_t i, int64_t j) const { return data + i * row + j * pixel; }
};

/// The elements of a kernel along one dimension, in the order in which windows meet them: first, first + step, ...
struct Taps {
  int64_t first, step, count;
};

/// A weight as a convolution reads it: element (i, j) of filter f for channel c is
/// data[f·filter_step + c·channel_step + i·kernel_width + j].
template <class T> struct FilterView {
  const T* data;
  int64_t filters, channels, filter_step, channel_step, kernel_width;
  Taps h, w;
};

/// Filters in the order in which the kernel reads them. A copy: later writes to the weight have no effect. Immutable,
/// so any number of threads may use it.
template <class T> class PackedFilters {
 public:
  PackedFilters() = default;
  explicit PackedFilters(const FilterView<T>& view);  ///< Uses threads.

  int64_t filters() const { return filters_; }
  int64_t channels() const { return channels_; }
  int64_t rows() const { return rows_; }        ///< of a window
  int64_t columns() const { return columns_; }  ///< of a window
  int64_t depth() const { return rows_ * columns_ * channels_; }
  /// The panel that holds filter f; its element (i, j, c) of filter f begins at ((i·columns + j)·channels + c)·nr + f %
  /// nr.
  const T* panel(int64_t f) const;

 private:
  int64_t filters_ = 0, channels_ = 0, rows_ = 0, columns_ = 0;
  Tensor panels_;
};

/// Windows of an image and where their results go.
template <class T> struct PixelWindows {
  int64_t rows, columns;                   ///< numbers of windows
  Pixels<const T> x;                       ///< the first window's first pixel, and the distances of pixels
  int64_t stride_h, stride_w;              ///< pixels from one window to the next
  int64_t dilation_h, dilation_w;          ///< pixels from one element of a window to the next
  Pixels<T> y;                             ///< the pixels of the results
  Pixels<const T> base = {nullptr, 0, 0};  ///< added to the results, or null; it may be y
  const T* bias = nullptr;                 ///< [filters], or null
  bool relu = false;
};

/// y[i, j, f] = Σ x·filter f over the window (i, j), + base + bias, then max(·, 0) with relu, for the filters first to
/// first + count − 1; `first` is a multiple of the kernel's columns (nr). y and base hold all filters. Each result is
/// one chain of fused multiply-adds, except that rows of windows which do not lie in one run of memory are added one by
/// one. Its bits do not depend on the other windows or filters.
template <class T>
void convolve_pixels(const PixelWindows<T>& windows, const PackedFilters<T>& filters, int64_t first, int64_t count);

/// The distance of pixels with this number of channels that suits the kernel: rows that lie a multiple of 1 KiB apart
/// would share a few sets of the first cache.
template <class T> constexpr int64_t pixel_step(int64_t channels) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(T));
  return channels * kSize % 1024 == 0 ? channels + 64 / kSize : channels;
}

/// Rows [first, first + rows) of an image [channels, height, width] become pixels, with zeros where they are outside
/// the image: pixel (i, j) of `to` is pixel (first + i, left + j) of the image, for j < columns. `first` and `left` may
/// be negative. Planes are `plane` elements apart.
template <class T>
void load_pixels(const T* image, int64_t channels, int64_t height, int64_t width, int64_t plane, int64_t first,
                 int64_t rows, int64_t left, int64_t columns, const Pixels<T>& to);

}  // namespace qing
