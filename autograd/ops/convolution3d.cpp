#include <qing/autograd/ops/convolution3d.h>

#include <fmt/format.h>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/convolution.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/pooling.h>
#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>

namespace qing {
namespace {

// body(x) for x with a batch; without one, x is a batch of one volume.
template <class Body> Tensor over_volumes(const Tensor& x, const char* op, Body body) {
  check_floating(x, op);
  if (x.dim() == 5) return body(x);
  if (x.dim() == 4) return squeeze(body(unsqueeze(x, 0)), 0);
  throw ShapeError(fmt::format("{}: x has 4 dimensions, or 5 with a batch; got shape {}", op, to_string(x.shape())));
}

void check_volume_weight(const Tensor& x, const Tensor& weight, int64_t channel_dim, int64_t groups, const char* op) {
  if (weight.dim() != 5) {
    throw ShapeError(fmt::format("{}: the weight has 5 dimensions, got shape {}", op, to_string(weight.shape())));
  }
  const int64_t channels = weight.size(channel_dim) * (channel_dim == 1 ? groups : 1);
  if (groups < 1) throw ValueError(fmt::format("{}: {} groups; at least 1 is needed", op, groups));
  if (x.size(1) != channels || weight.size(0) % groups != 0) {
    throw ShapeError(fmt::format("{}: x {} and weight {} do not fit with {} groups", op, to_string(x.shape()),
                                 to_string(weight.shape()), groups));
  }
}

void check_depth(int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, const char* op) {
  if (kernel < 1 || stride < 1 || dilation < 1 || padding < 0) {
    throw ValueError(
        fmt::format("{}: kernel {}, stride {}, padding {} and dilation {} in depth; only the padding may be 0", op,
                    kernel, stride, padding, dilation));
  }
}

// [batch, channels, depth, ...] as [batch·depth, channels, ...], and back.
Tensor as_planes(const Tensor& x) {
  const Tensor moved = permute(x, {0, 2, 1, 3, 4});
  return reshape(moved, {x.size(0) * x.size(2), x.size(1), x.size(3), x.size(4)});
}
Tensor as_volumes(const Tensor& planes, int64_t batch) {
  const Tensor whole = reshape(planes, {batch, planes.size(0) / batch, planes.size(1), planes.size(2), planes.size(3)});
  return permute(whole, {0, 2, 1, 3, 4});
}

}  // namespace

Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv3dOptions& o) {
  constexpr const char* op = "conv3d";
  return over_volumes(input, op, [&](const Tensor& x) {
    check_volume_weight(x, weight, 1, o.groups, op);
    const int64_t kernel = weight.size(2), reach = o.dilation.d * (kernel - 1) + 1;
    check_depth(kernel, o.stride.d, o.padding.d, o.dilation.d, op);
    const int64_t padded = x.size(2) + 2 * o.padding.d;
    if (padded < reach || x.size(0) == 0) {
      throw ShapeError(fmt::format("{}: a kernel of depth {} does not fit into x {}, padded by {}", op, reach,
                                   to_string(x.shape()), o.padding.d));
    }
    const int64_t depth = (padded - reach) / o.stride.d + 1;
    const Tensor volume = o.padding.d > 0 ? pad(x, {0, 0, 0, 0, o.padding.d, o.padding.d}) : x;
    const Conv2dOptions flat{
        .stride = o.stride.plane(), .padding = o.padding.plane(), .dilation = o.dilation.plane(), .groups = o.groups};
    Tensor sum;
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t first = k * o.dilation.d;
      const Tensor layers = slice(volume, 2, first, first + (depth - 1) * o.stride.d + 1, o.stride.d);
      const Tensor part = conv2d(as_planes(layers), select(weight, 2, k), k == 0 ? bias : Tensor(), flat);
      sum = k == 0 ? part : add(sum, part);
    }
    return as_volumes(sum, x.size(0));
  });
}

Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose3dOptions& o) {
  constexpr const char* op = "conv_transpose3d";
  return over_volumes(input, op, [&](const Tensor& x) {
    check_volume_weight(x, weight, 0, o.groups, op);
    const int64_t kernel = weight.size(2), batch = x.size(0);
    check_depth(kernel, o.stride.d, o.padding.d, o.dilation.d, op);
    const int64_t extra = o.output_padding.d;
    if (extra < 0 || (extra >= o.stride.d && extra >= o.dilation.d)) {
      throw ValueError(
          fmt::format("{}: output_padding {} in depth; it is less than the stride or the dilation", op, extra));
    }
    const int64_t whole = (x.size(2) - 1) * o.stride.d + o.dilation.d * (kernel - 1) + 1 + extra;
    const int64_t depth = whole - 2 * o.padding.d;
    if (depth < 1 || batch == 0) {
      throw ShapeError(
          fmt::format("{}: x {} with padding {} gives a depth of {}", op, to_string(x.shape()), o.padding.d, depth));
    }
    const ConvTranspose2dOptions flat{.stride = o.stride.plane(),
                                      .padding = o.padding.plane(),
                                      .output_padding = o.output_padding.plane(),
                                      .groups = o.groups,
                                      .dilation = o.dilation.plane()};
    const Tensor planes = as_planes(x), places = mul(Tensor::arange(x.size(2)), o.stride.d);
    Tensor sum;
    for (int64_t k = 0; k < kernel; ++k) {
      const Tensor part = as_volumes(conv_transpose2d(planes, select(weight, 2, k), {}, flat), batch);
      if (k == 0) sum = Tensor::zeros({batch, part.size(1), whole, part.size(3), part.size(4)}, x.dtype());
      sum = index_add(sum, 2, add(places, k * o.dilation.d), part);
    }
    const Tensor y = slice(sum, 2, o.padding.d, o.padding.d + depth);
    return bias.defined() ? add(y, reshape(bias, {bias.numel(), 1, 1, 1})) : y;
  });
}

namespace {

// Pools the planes, then the columns of depth: a window of a volume is a row of windows of planes. in_plane gets
// [batch, channels·depth, height, width], in_depth [batch, channels, depth, height·width].
template <class InPlane, class InDepth>
Tensor pooled(const Tensor& input, const char* op, const InPlane& in_plane, const InDepth& in_depth) {
  return over_volumes(input, op, [&](const Tensor& x) {
    const int64_t batch = x.size(0), channels = x.size(1), depth = x.size(2);
    const Tensor planes = in_plane(reshape(x, {batch, channels * depth, x.size(3), x.size(4)}));
    const int64_t height = planes.size(2), width = planes.size(3);
    const Tensor columns = in_depth(reshape(planes, {batch, channels, depth, height * width}));
    return reshape(columns, {batch, channels, columns.size(2), height, width});
  });
}

}  // namespace

Tensor max_pool3d(const Tensor& x, Size3d kernel, const MaxPool3dOptions& o) {
  return pooled(
      x, "max_pool3d",
      [&](const Tensor& planes) {
        return max_pool2d(planes, kernel.plane(),
                          {.stride = o.stride.plane(),
                           .padding = o.padding.plane(),
                           .dilation = o.dilation.plane(),
                           .ceil_mode = o.ceil_mode});
      },
      [&](const Tensor& columns) {
        return max_pool2d(columns, {kernel.d, 1},
                          {.stride = {o.stride.d != 0 ? o.stride.d : kernel.d, 1},
                           .padding = {o.padding.d, 0},
                           .dilation = {o.dilation.d, 1},
                           .ceil_mode = o.ceil_mode});
      });
}

Tensor avg_pool3d(const Tensor& x, Size3d kernel, const AvgPool3dOptions& o) {
  // Sums of both steps, if the divisor is given.
  const int64_t divisor = o.divisor_override != 0 ? 1 : 0;
  const Tensor y = pooled(
      x, "avg_pool3d",
      [&](const Tensor& planes) {
        return avg_pool2d(planes, kernel.plane(),
                          {.stride = o.stride.plane(),
                           .padding = o.padding.plane(),
                           .ceil_mode = o.ceil_mode,
                           .count_include_pad = o.count_include_pad,
                           .divisor_override = divisor});
      },
      [&](const Tensor& columns) {
        return avg_pool2d(columns, {kernel.d, 1},
                          {.stride = {o.stride.d != 0 ? o.stride.d : kernel.d, 1},
                           .padding = {o.padding.d, 0},
                           .ceil_mode = o.ceil_mode,
                           .count_include_pad = o.count_include_pad,
                           .divisor_override = divisor});
      });
  return o.divisor_override != 0 ? div(y, o.divisor_override) : y;
}

Tensor adaptive_avg_pool3d(const Tensor& x, Size3d size) {
  return pooled(
      x, "adaptive_avg_pool3d", [&](const Tensor& planes) { return adaptive_avg_pool2d(planes, size.plane()); },
      [&](const Tensor& columns) {
        return adaptive_avg_pool2d(columns, {size.d, columns.size(3)});
      });
}

Tensor adaptive_max_pool3d(const Tensor& x, Size3d size) {
  return pooled(
      x, "adaptive_max_pool3d", [&](const Tensor& planes) { return adaptive_max_pool2d(planes, size.plane()); },
      [&](const Tensor& columns) {
        return adaptive_max_pool2d(columns, {size.d, columns.size(3)});
      });
}

}  // namespace qing
