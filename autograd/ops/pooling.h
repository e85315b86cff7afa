// Pooling over windows of the last two dimensions (..2d) or the last one (..1d), and resizing. x is [batch, channels,
// ...], or without batch. Every channel of every image is pooled separately. f32 or f64 (DTypeError). All are
// differentiable twice.
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
  Tensor indices;  ///< i64, of the values' shape: the position of each value in its plane (row·width + column)
};
/// The largest element of each window; the first of equal ones. NaN is larger than any number. Padding is never chosen.
/// ShapeError if a window does not fit or sees only padding; ValueError if options are out of range.
Tensor max_pool2d(const Tensor& x, Size2d kernel_size, const MaxPool2dOptions& options = {});
Pooled max_pool2d_with_indices(const Tensor& x, Size2d kernel_size, const MaxPool2dOptions& options = {});
Tensor max_pool1d(const Tensor& x, int64_t kernel_size, const MaxPool1dOptions& options = {});
Pooled max_pool1d_with_indices(const Tensor& x, int64_t kernel_size, const MaxPool1dOptions& options = {});

struct AvgPool1dOptions {
  int64_t stride = 0;  ///< 0: the kernel's size
  int64_t padding = 0;
  bool ceil_mode = false;
  /// true: divide by the window's size including padding; false: by its number of elements
  bool count_include_pad = true;
};
struct AvgPool2dOptions {
  Size2d stride = 0;
  Size2d padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  int64_t divisor_override = 0;  ///< divide by this, unless 0
};
/// The mean of each window. Errors as max_pool2d. Padding is at most half the kernel (ValueError).
Tensor avg_pool2d(const Tensor& x, Size2d kernel_size, const AvgPool2dOptions& options = {});
Tensor avg_pool1d(const Tensor& x, int64_t kernel_size, const AvgPool1dOptions& options = {});

/// Pools n elements to m results: result i takes elements ⌊i·n/m⌋ to before ⌈(i+1)·n/m⌉. Size 1 pools a whole plane
/// (global pooling). Errors as max_pool2d.
Tensor adaptive_avg_pool2d(const Tensor& x, Size2d output_size);
Tensor adaptive_avg_pool1d(const Tensor& x, int64_t output_size);
Tensor adaptive_max_pool2d(const Tensor& x, Size2d output_size);
Tensor adaptive_max_pool1d(const Tensor& x, int64_t output_size);

/// Resizes the planes to `size`: result i of m takes the nearest element, ⌊i·n/m⌋ of n. PyTorch's interpolate in mode
/// "nearest".
Tensor interpolate(const Tensor& x, Size2d size);

}  // namespace qing
