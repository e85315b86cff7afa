// Pooling over windows of the last two dimensions (..2d) or the last one (..1d), and resizing. x is [batch, channels,
// ...] or without batch; every channel of every image is pooled by itself. All are differentiable twice.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/size2d.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct MaxPool1dOptions {
  int64_t stride = 0;  ///< 0: the kernel's size
  int64_t padding = 0, dilation = 1;
  bool ceil_mode =
      false;  ///< also windows that reach beyond the end, if they begin within the elements or the padding before
};
struct MaxPool2dOptions {
  Size2d stride = 0;
  Size2d padding = 0, dilation = 1;
  bool ceil_mode = false;
};
struct Pooled {
  Tensor values;
  Tensor indices;  ///< i64, of the values' shape: which element of its plane (row·width + column) each is
};
/// The largest element of each window, the first of equal ones; a NaN is larger than anything. Padding is never chosen.
/// ShapeError when a window does not fit or sees padding alone; ValueError for options out of their range.
Tensor max_pool2d(const Tensor& x, Size2d kernel_size, const MaxPool2dOptions& options = {});
Pooled max_pool2d_with_indices(const Tensor& x, Size2d kernel_size, const MaxPool2dOptions& options = {});
Tensor max_pool1d(const Tensor& x, int64_t kernel_size, const MaxPool1dOptions& options = {});
Pooled max_pool1d_with_indices(const Tensor& x, int64_t kernel_size, const MaxPool1dOptions& options = {});

struct AvgPool1dOptions {
  int64_t stride = 0;  ///< 0: the kernel's size
  int64_t padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;  ///< divide by the window's size, the padding included; else by its elements
};
struct AvgPool2dOptions {
  Size2d stride = 0;
  Size2d padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  int64_t divisor_override = 0;  ///< divide by this, unless 0
};
/// The mean of each window. Errors as max_pool2d; padding is at most half of the kernel.
Tensor avg_pool2d(const Tensor& x, Size2d kernel_size, const AvgPool2dOptions& options = {});
Tensor avg_pool1d(const Tensor& x, int64_t kernel_size, const AvgPool1dOptions& options = {});

/// Windows ⌊i·n/m⌋ to ⌈(i+1)·n/m⌉ of n elements, for a result of m; with 1, a whole plane (global pooling).
Tensor adaptive_avg_pool2d(const Tensor& x, Size2d output_size);
Tensor adaptive_avg_pool1d(const Tensor& x, int64_t output_size);
Tensor adaptive_max_pool2d(const Tensor& x, Size2d output_size);
Tensor adaptive_max_pool1d(const Tensor& x, int64_t output_size);

/// Resizes the planes to `size` by the nearest element, ⌊i·n/m⌋: PyTorch's interpolate of mode "nearest".
Tensor interpolate(const Tensor& x, Size2d size);

}  // namespace qing
