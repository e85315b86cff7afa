// Convolutions (cross-correlations, as everywhere in deep learning) and their transposes.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/size2d.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct Conv1dOptions {
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  bool same_padding = false;  ///< as much padding as gives a result of x's length; stride and padding as by default
};
struct Conv2dOptions {
  Size2d stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;
  bool same_padding = false;
};
/// y[n, f, i, j] = bias[f] + Σ weight[f, c, k, l]·x[n, c, i·stride − padding + k·dilation, ...] over the channels c of
/// f's group: x [batch, channels, height, width] or without batch, weight [filters, channels/groups, kh, kw], bias
/// [filters] or undefined. The result is [batch, filters, (height + 2·padding − dilation·(kh−1) − 1)/stride + 1, ...].
/// An odd "same" padding has its larger half behind, as PyTorch. ShapeError: sizes that do not fit; ValueError: options
/// out of their range. Temporary memory: about 1 MiB a thread (f32). Differentiable twice.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv2dOptions& options = {});
/// The same in one dimension: x [batch, channels, length] or without batch, weight [filters, channels/groups, k].
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv1dOptions& options = {});

struct ConvTranspose1dOptions {
  int64_t stride = 1, padding = 0, output_padding = 0, groups = 1, dilation = 1;
};
struct ConvTranspose2dOptions {
  Size2d stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  Size2d dilation = 1;
};
/// The gradient of conv2d by its input as an operation: x [batch, channels, height, width] or without batch, weight
/// [channels, filters/groups, kh, kw], bias [filters] or undefined. The result is [batch, filters,
/// (height−1)·stride − 2·padding + dilation·(kh−1) + output_padding + 1, ...]; output_padding, less than stride or
/// dilation, chooses among the sizes that conv2d maps to height. Differentiable twice.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose2dOptions& options = {});
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose1dOptions& options = {});

}  // namespace qing
