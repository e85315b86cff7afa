// Convolutions of volumes and pooling over windows of them. x is [batch, channels, depth, height, width], or without
// batch. They are made of convolutions and pooling of planes. f32 or f64 (DTypeError). Differentiable twice.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/size3d.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct Conv3dOptions {
  Size3d stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;
};
/// conv2d in three dimensions: weight [filters, channels/groups, kd, kh, kw], bias [filters] or undefined. Sums one
/// convolution of planes for each kd. Errors as conv2d. Temporary memory: a copy of x and kd results.
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv3dOptions& options = {});

struct ConvTranspose3dOptions {
  Size3d stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  Size3d dilation = 1;
};
/// conv_transpose2d in three dimensions: weight [channels, filters/groups, kd, kh, kw].
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose3dOptions& options = {});

struct MaxPool3dOptions {
  Size3d stride = 0;  ///< 0: the kernel's size
  Size3d padding = 0, dilation = 1;
  bool ceil_mode = false;
};
/// max_pool2d in three dimensions, with its errors.
Tensor max_pool3d(const Tensor& x, Size3d kernel_size, const MaxPool3dOptions& options = {});

struct AvgPool3dOptions {
  Size3d stride = 0;  ///< 0: the kernel's size
  Size3d padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  int64_t divisor_override = 0;  ///< divide by this, unless 0
};
/// avg_pool2d in three dimensions, with its errors.
Tensor avg_pool3d(const Tensor& x, Size3d kernel_size, const AvgPool3dOptions& options = {});
Tensor adaptive_avg_pool3d(const Tensor& x, Size3d output_size);
Tensor adaptive_max_pool3d(const Tensor& x, Size3d output_size);

}  // namespace qing
