// A convolution is linear in x and in the weight. With L = Σ dy·conv(x, w), its gradient with respect to x or w is
// linear in the other two of {x, w, dy}. So the three products below are each other's gradients, to any order.
#include <qing/autograd/ops/convolution.h>

#include <fmt/format.h>

#include <initializer_list>
#include <type_traits>

#include <qing/autograd/autocast.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/bf16_convolution.h>
#include <qing/tensor/ops/convolve.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// Larger strides, paddings and dilations are refused, so that no size overflows.
constexpr int64_t kLargestOption = 1 << 28;

// A convolution, and whether its f32 products have operands rounded to bf16.
struct Products : Convolution {
  bool bf16;

  Products(const Convolution& c, DType dtype)
      : Convolution(c), bf16(dtype == DType::f32 && autocast_dtype() == DType::bf16) {}
};

Shape input_shape(const Convolution& c) { return {c.images, c.channels, c.h.in, c.w.in}; }
Shape weight_shape(const Convolution& c) { return {c.filters, c.group_channels(), c.h.kernel, c.w.kernel}; }
Shape output_shape(const Convolution& c) { return {c.images, c.filters, c.h.out, c.w.out}; }

// --- the three products, written to a target ---

// The function that computes a product.
template <class T, class Plain, class Rounded> Plain choose(const Products& c, Plain plain, Rounded rounded) {
  if constexpr (std::is_same_v<T, float>) {
    if (c.bf16) return rounded;
  }
  return plain;
}

void forward_into(const Products& c, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const GradSink::Target& y) {
  dispatch_floating(x.dtype(), "conv2d", [&](auto zero) {
    using T = decltype(zero);
    Tensor result = y.accumulate ? Tensor::empty(output_shape(c), x.dtype()) : y.tensor;
    const T* const offset = bias.defined() ? bias.data<T>() : nullptr;
    choose<T>(c, convolve<T>, convolve_bf16)(c, x.data<T>(), weight.data<T>(), offset, result.data<T>());
    if (y.accumulate) add_into(y.tensor, result);
  });
}

void input_into(const Products& c, const Tensor& weight, const Tensor& dy, const GradSink::Target& dx) {
  dispatch_floating(dy.dtype(), "conv_transpose2d", [&](auto zero) {
    using T = decltype(zero);
    choose<T>(c, convolve_transposed<T>, convolve_transposed_bf16)(c, weight.data<T>(), dy.data<T>(),
                                                                   dx.tensor.data<T>(), dx.accumulate);
  });
}

void weight_into(const Products& c, const Tensor& x, const Tensor& dy, const GradSink::Target& dweight) {
  dispatch_floating(dy.dtype(), "conv2d", [&](auto zero) {
    using T = decltype(zero);
    choose<T>(c, convolve_weight<T>, convolve_weight_bf16)(c, x.data<T>(), dy.data<T>(), dweight.tensor.data<T>(),
                                                           dweight.accumulate);
  });
}

void bias_into(const Products& c, const Tensor& dy, const GradSink::Target& dbias) {
  dispatch_floating(dy.dtype(), "conv2d", [&](auto zero) {
    using T = decltype(zero);
    const auto& table = kernels::kernels<T>();
    parallel_for(c.filters, 1, [&](int64_t begin, int64_t end) {
      for (int64_t f = begin; f < end; ++f) {
        T total = dbias.accumulate ? dbias.tensor.data<T>()[f] : T(0);
        for (int64_t n = 0; n < c.images; ++n) {
          total += table.sum(c.out_pixels(), dy.data<T>() + (n * c.filters + f) * c.out_pixels());
        }
        dbias.tensor.data<T>()[f] = total;
      }
    });
  });
}

// --- the three products, recorded ---

Tensor convolution(const Products& c, const Tensor& x, const Tensor& weight, const Tensor& bias);
Tensor input_gradient(const Products& c, const Tensor& weight, const Tensor& dy);
Tensor weight_gradient(const Products& c, const Tensor& x, const Tensor& dy);

Tensor dense(const Tensor& x) { return x.alias().contiguous(); }

Tensor convolution(const Products& c, const Tensor& input, const Tensor& filters, const Tensor& bias) {
  const Tensor x = dense(input), weight = dense(filters);
  Tensor y = Tensor::empty(output_shape(c), x.dtype());
  forward_into(c, x, weight, bias.defined() ? dense(bias) : bias, {y, false});
  if (recording({input, filters, bias})) {
    record("conv2d", y, {input, filters, bias},
           [c, x = Saved(x), weight = Saved(weight)](const Tensor& dy, GradSink& grad) {
             if (grad.create_graph()) {
               if (grad.needs(0)) grad.add(0, input_gradient(c, grad.input(1, weight), dy));
               if (grad.needs(1)) grad.add(1, weight_gradient(c, grad.input(0, x), dy));
               if (grad.needs(2)) grad.add(2, sum(dy, {0, 2, 3}));
               return;
             }
             if (grad.needs(0)) input_into(c, weight.get(grad), dy, grad.target(0));
             if (grad.needs(1)) weight_into(c, x.get(grad), dy, grad.target(1));
             if (grad.needs(2)) bias_into(c, dy, grad.target(2));
           });
  }
  return y;
}

Tensor input_gradient(const Products& c, const Tensor& filters, const Tensor& upstream) {
  const Tensor weight = dense(filters), dy = dense(upstream);
  Tensor dx = Tensor::empty(input_shape(c), dy.dtype());
  input_into(c, weight, dy, {dx, false});
  if (recording({filters, upstream})) {
    record("conv_transpose2d", dx, {filters, upstream},
           [c, weight = Saved(weight), dy = Saved(dy)](const Tensor& ddx, GradSink& grad) {
             if (grad.create_graph()) {
               if (grad.needs(0)) grad.add(0, weight_gradient(c, ddx, grad.input(1, dy)));
               if (grad.needs(1)) grad.add(1, convolution(c, ddx, grad.input(0, weight), {}));
               return;
             }
             if (grad.needs(0)) weight_into(c, ddx, dy.get(grad), grad.target(0));
             if (grad.needs(1)) forward_into(c, ddx, weight.get(grad), {}, grad.target(1));
           });
  }
  return dx;
}

Tensor weight_gradient(const Products& c, const Tensor& input, const Tensor& upstream) {
  const Tensor x = dense(input), dy = dense(upstream);
  Tensor dweight = Tensor::empty(weight_shape(c), dy.dtype());
  weight_into(c, x, dy, {dweight, false});
  if (recording({input, upstream})) {
    record("conv2d", dweight, {input, upstream},
           [c, x = Saved(x), dy = Saved(dy)](const Tensor& ddweight, GradSink& grad) {
             if (grad.create_graph()) {
               if (grad.needs(0)) grad.add(0, input_gradient(c, ddweight, grad.input(1, dy)));
               if (grad.needs(1)) grad.add(1, convolution(c, grad.input(0, x), ddweight, {}));
               return;
             }
             if (grad.needs(0)) input_into(c, ddweight, dy.get(grad), grad.target(0));
             if (grad.needs(1)) forward_into(c, x.get(grad), ddweight, {}, grad.target(1));
           });
  }
  return dweight;
}

// --- checks ---

void check_options(std::initializer_list<int64_t> strides, std::initializer_list<int64_t> paddings, int64_t groups,
                   const char* op) {
  for (const int64_t stride : strides) {
    if (stride < 1 || stride > kLargestOption) {
      throw ValueError(fmt::format("{}: stride or dilation {} is outside [1, {}]", op, stride, kLargestOption));
    }
  }
  for (const int64_t padding : paddings) {
    if (padding < 0 || padding > kLargestOption) {
      throw ValueError(fmt::format("{}: padding {} is outside [0, {}]", op, padding, kLargestOption));
    }
  }
  if (groups < 1) throw ValueError(fmt::format("{}: groups {} is below 1", op, groups));
}

void check_shapes(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t groups, bool transposed,
                  const char* op) {
  check_same_dtype(x, weight, op);
  if (bias.defined()) check_same_dtype(x, bias, op);
  const int64_t rank = weight.dim();
  bool fits = x.dim() == rank && x.size(1) == weight.size(transposed ? 0 : 1) * (transposed ? 1 : groups) &&
              weight.size(0) % groups == 0;
  for (int64_t d = 1; d < rank; ++d) fits = fits && weight.size(d) > 0;
  const int64_t filters = weight.size(transposed ? 1 : 0) * (transposed ? groups : 1);
  fits = fits && weight.size(0) > 0 && (!bias.defined() || bias.shape() == Shape{filters});
  if (!fits) {
    throw ShapeError(fmt::format(
        "{}: x {}, weight {}, bias {} and {} groups do not fit; needs [batch, channels, ...], {}, "
        "[filters]",
        op, to_string(x.shape()), to_string(weight.shape()), bias.defined() ? to_string(bias.shape()) : "none", groups,
        transposed ? "[channels, filters/groups, ...]" : "[filters, channels/groups, ...]"));
  }
}

Window window_of(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool same,
                 const char* op) {
  const int64_t reach = dilation * (kernel - 1);
  if (same && in > 0) return {in, in, kernel, 1, reach / 2, dilation};
  const int64_t room = in + 2 * padding - reach - 1;
  if (room < 0) {
    throw ShapeError(fmt::format("{}: a kernel of {} with dilation {} does not fit into {} elements with padding {}",
                                 op, kernel, dilation, in, padding));
  }
  return {in, room / stride + 1, kernel, stride, padding, dilation};
}

// The window that maps the result's size to `out`, the size of x here.
Window transposed_window(int64_t out, int64_t kernel, int64_t stride, int64_t padding, int64_t extra, int64_t dilation,
                         const char* op) {
  if (extra >= stride && extra >= dilation) {
    throw ValueError(
        fmt::format("{}: output_padding {} must be less than stride {} or dilation {}", op, extra, stride, dilation));
  }
  const int64_t in = (out - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1;
  if (in < 1 || out < 1) {
    throw ShapeError(fmt::format("{}: {} elements with padding {} leave a result of size {}", op, out, padding, in));
  }
  return {in, out, kernel, stride, padding, dilation};
}

// Calls body with a batch: of one image if x has one dimension less than `rank`.
template <class Body> Tensor batched(const Tensor& x, int64_t rank, const char* op, Body body) {
  if (x.dim() == rank) return body(x);
  if (x.dim() != rank - 1) {
    throw ShapeError(fmt::format("{}: x has {} dimensions, or {} with a batch; got shape {}", op, rank - 1, rank,
                                 to_string(x.shape())));
  }
  return body(x.unsqueeze(0)).squeeze(0);
}

void check_weight(const Tensor& weight, int64_t rank, const char* op) {
  if (weight.dim() != rank) {
    throw ShapeError(
        fmt::format("{}: the weight has {} dimensions, got shape {}", op, rank, to_string(weight.shape())));
  }
}

Tensor conv(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options, const char* op) {
  const auto& [stride, padding, dilation, groups, same] = options;
  if (same && (stride.h != 1 || stride.w != 1 || padding.h != 0 || padding.w != 0)) {
    throw ValueError(fmt::format("{}: same_padding needs stride 1 and no other padding", op));
  }
  const Convolution c{x.size(0),
                      x.size(1),
                      weight.size(0),
                      groups,
                      window_of(x.size(2), weight.size(2), stride.h, padding.h, dilation.h, same, op),
                      window_of(x.size(3), weight.size(3), stride.w, padding.w, dilation.w, same, op)};
  return convolution({c, x.dtype()}, x, weight, bias);
}

Tensor conv_transpose(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTranspose2dOptions& options,
                      const char* op) {
  const auto& [stride, padding, extra, groups, dilation] = options;
  const int64_t filters = weight.size(1) * groups;
  const Convolution c{x.size(0),
                      filters,
                      x.size(1),
                      groups,
                      transposed_window(x.size(2), weight.size(2), stride.h, padding.h, extra.h, dilation.h, op),
                      transposed_window(x.size(3), weight.size(3), stride.w, padding.w, extra.w, dilation.w, op)};
  const Tensor y = input_gradient({c, x.dtype()}, weight, x);
  return bias.defined() ? add(y, bias.reshape({filters, 1, 1})) : y;
}

}  // namespace

Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  const auto& o = options;
  check_options({o.stride.h, o.stride.w, o.dilation.h, o.dilation.w}, {o.padding.h, o.padding.w}, o.groups, "conv2d");
  check_weight(weight, 4, "conv2d");
  return batched(input, 4, "conv2d", [&](const Tensor& x) {
    check_shapes(x, weight, bias, o.groups, false, "conv2d");
    return conv(x, weight, bias, o, "conv2d");
  });
}

Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv1dOptions& options) {
  check_options({options.stride, options.dilation}, {options.padding}, options.groups, "conv1d");
  check_weight(weight, 3, "conv1d");
  check_floating(input, "conv1d");
  return batched(input, 3, "conv1d", [&](const Tensor& x) {
    check_shapes(x, weight, bias, options.groups, false, "conv1d");
    const Conv2dOptions flat{.stride = {1, options.stride},
                             .padding = {0, options.padding},
                             .dilation = {1, options.dilation},
                             .groups = options.groups,
                             .same_padding = options.same_padding};
    return conv(x.unsqueeze(2), weight.unsqueeze(2), bias, flat, "conv1d").squeeze(2);
  });
}

Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose2dOptions& options) {
  constexpr const char* op = "conv_transpose2d";
  const auto& o = options;
  check_options({o.stride.h, o.stride.w, o.dilation.h, o.dilation.w},
                {o.padding.h, o.padding.w, o.output_padding.h, o.output_padding.w}, o.groups, op);
  check_weight(weight, 4, op);
  return batched(input, 4, op, [&](const Tensor& x) {
    check_shapes(x, weight, bias, o.groups, true, op);
    return conv_transpose(x, weight, bias, o, op);
  });
}

Tensor conv_transpose1d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose1dOptions& options) {
  constexpr const char* op = "conv_transpose1d";
  check_options({options.stride, options.dilation}, {options.padding, options.output_padding}, options.groups, op);
  check_weight(weight, 3, op);
  check_floating(input, op);
  return batched(input, 3, op, [&](const Tensor& x) {
    check_shapes(x, weight, bias, options.groups, true, op);
    const ConvTranspose2dOptions flat{.stride = {1, options.stride},
                                      .padding = {0, options.padding},
                                      .output_padding = {0, options.output_padding},
                                      .groups = options.groups,
                                      .dilation = {1, options.dilation}};
    return conv_transpose(x.unsqueeze(2), weight.unsqueeze(2), bias, flat, op).squeeze(2);
  });
}

}  // namespace qing
