// Convolutions (cross-correlations, as usual in deep learning) and their transposes. f32 or f64 (DTypeError).
#pragma once

#include <cstdint>

#include <qing/autograd/ops/size2d.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct Conv1dOptions {
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  bool same_padding = false;  ///< pad so that the result has x's length; needs stride 1 and padding 0 (ValueError)
};
struct Conv2dOptions {
  Size2d stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;
  bool same_padding = false;
};
/// y[n, f, i, j] = bias[f] + Σ weight[f, c, k, l]·x[n, c, i·stride − padding + k·dilation, ...], summed over the
/// channels c of f's group. x is [batch, channels, height, width], or without batch; weight [filters, channels/groups,
/// kh, kw]; bias [filters] or undefined. The result is [batch, filters, (height + 2·padding − dilation·(kh−1) −
/// 1)/stride + 1, ...]. Odd "same" padding puts its larger half behind, as in PyTorch. ShapeError if sizes do not fit,
/// ValueError if options are out of range. Temporary memory: about 1 MiB per thread (f32). Differentiable twice.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv2dOptions& options = {});
/// conv2d in one dimension: x [batch, channels, length] or without batch, weight [filters, channels/groups, k].
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv1dOptions& options = {});

struct ConvTranspose1dOptions {
  int64_t stride = 1, padding = 0, output_padding = 0, groups = 1, dilation = 1;
};
struct ConvTranspose2dOptions {
  Size2d stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  Size2d dilation = 1;
};
/// The gradient of conv2d with respect to its input, as an operation. x is [batch, channels, height, width], or without
/// batch; weight [channels, filters/groups, kh, kw]; bias [filters] or undefined. The result is [batch, filters,
/// (height−1)·stride − 2·padding + dilation·(kh−1) + output_padding + 1, ...]. conv2d maps several sizes to `height`;
/// output_padding chooses among them and is less than stride or dilation. Errors as conv2d. Differentiable twice.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose2dOptions& options = {});
/// conv_transpose2d in one dimension.
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose1dOptions& options = {});

}  // namespace qing
