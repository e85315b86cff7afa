// Layer normalisation, alone and fused with the dropout and residual before it in an encoder.
#include <qing/autograd/ops/normalization.h>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/masks.h>
#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/normalization_detail.h>
#include <qing/autograd/ops/powers.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/reduce.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

void check(const Tensor& x, const Tensor& weight, const Tensor& bias, const char* op) {
  check_same_dtype(x, weight, op);
  check_same_dtype(x, bias, op);
  const bool fits =
      x.dim() >= 1 && x.size(-1) >= 1 && weight.shape() == Shape{x.size(-1)} && bias.shape() == weight.shape();
  if (!fits) {
    throw ShapeError(fmt::format("{}: x {}, weight {}, bias {} do not fit; needs [..., n], [n], [n]", op,
                                 to_string(x.shape()), to_string(weight.shape()), to_string(bias.shape())));
  }
}

}  // namespace

Standardized standardize(const Tensor& x, const std::vector<int64_t>& dims, double eps, bool centred) {
  const auto average = [&](const Tensor& v) { return mean(v, dims, true); };
  // The second pass removes the rounding error of the mean.
  const auto centred_once = [&](const Tensor& v) { return sub(v, average(v)); };
  const Tensor centre = centred ? centred_once(centred_once(x)) : x;
  const Tensor variance = average(mul(centre, centre));
  const Tensor rstd = div(Tensor::full({}, 1, x.dtype()), sqrt(add(variance, Tensor::full({}, eps, x.dtype()))));
  return {mul(centre, rstd), rstd};
}

Tensor standardize_backward(const Tensor& g, const Standardized& x, const std::vector<int64_t>& dims, bool centred) {
  const auto average = [&](const Tensor& v) { return mean(v, dims, true); };
  const Tensor inner = sub(g, mul(x.normal, average(mul(g, x.normal))));
  return mul(x.rstd, centred ? sub(inner, average(g)) : inner);
}

void norm_graph(const Tensor& dy, const Tensor& x, const Tensor& weight, int64_t normalized_dims, double eps,
                bool centred, GradSink& grad) {
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < normalized_dims; ++d) dims.push_back(d - normalized_dims);
  const Standardized standard = standardize(x, dims, eps, centred);
  if (grad.needs(0)) grad.add(0, standardize_backward(mul(dy, weight), standard, dims, centred));
  if (grad.needs(1)) grad.add(1, mul(dy, standard.normal));
}

Tensor weight_or(const Tensor& weight, const Shape& shape, double value, DType dtype) {
  return weight.defined() ? weight.alias().contiguous() : Tensor::full(shape, value, dtype);
}

int64_t check_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias,
                   const char* op) {
  const auto rank = static_cast<int64_t>(normalized_shape.size());
  bool fits = rank >= 1 && x.dim() >= rank && numel_of(normalized_shape) >= 1 &&
              std::equal(normalized_shape.begin(), normalized_shape.end(), x.shape().end() - rank);
  for (const Tensor& affine : {weight, bias}) {
    if (!affine.defined()) continue;
    check_same_dtype(x, affine, op);
    fits = fits && affine.shape() == normalized_shape;
  }
  if (!fits) {
    const auto text = [](const Tensor& t) { return t.defined() ? to_string(t.shape()) : std::string("none"); };
    throw ShapeError(
        fmt::format("{}: x {}, normalized_shape {}, weight {}, bias {} do not fit; x must end in "
                    "normalized_shape, which weight and bias have",
                    op, to_string(x.shape()), to_string(normalized_shape), text(weight), text(bias)));
  }
  return numel_of(normalized_shape);
}

Tensor layer_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, double eps) {
  check(input, weight, bias, "layer_norm");
  return layer_norm(input, weight.shape(), weight, bias, eps);
}

Tensor layer_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias,
                  double eps) {
  const int64_t width = check_norm(input, normalized_shape, weight, bias, "layer_norm");
  const Tensor x = input.alias().contiguous();
  const Tensor gamma = weight_or(weight, normalized_shape, 1, x.dtype());
  const Tensor beta = weight_or(bias, normalized_shape, 0, x.dtype());
  const int64_t rows = x.numel() / width;
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const Tensor stats = Tensor::empty({rows, kStatistics}, x.dtype());
  dispatch_floating(x.dtype(), "layer_norm", [&](auto zero) {
    using T = decltype(zero);
    parallel_for(rows, norm_row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        kernels::kernels<T>().layer_norm(width, x.data<T>() + r * width, gamma.data<T>(), beta.data<T>(), T(eps),
                                         y.data<T>() + r * width, statistics_of<T>(stats, r));
      }
    });
  });
  if (recording({input, weight, bias})) {
    const auto dims = static_cast<int64_t>(normalized_shape.size());
    record("layer_norm", y, {input, weight, bias},
           [width, rows, dims, eps, x = Saved(x), gamma = Saved(gamma), stats](const Tensor& dy, GradSink& grad) {
             if (grad.create_graph()) {
               norm_graph(dy, grad.input(0, x), grad.input(1, gamma), dims, eps, true, grad);
               return grad.add(2, dy);
             }
             dispatch_floating(dy.dtype(), "layer_norm", [&](auto zero) {
               using T = decltype(zero);
               const LayerNormRows<T> norm{x.get(grad).data<T>(), gamma.get(grad).data<T>(), dy.data<T>(),
                                           statistics_of<T>(stats, 0), width};
               GradSink::Target target{};
               if (grad.needs(0)) target = grad.target(0);
               T* dx = target.tensor.defined() ? target.tensor.data<T>() : nullptr;
               over_norm_rows<T>(rows, width, grad, 1, 2, [&](int64_t r, T* dweight, T* dbias) {
                 norm.run(r, dx == nullptr ? nullptr : dx + r * width, target.accumulate, dweight, dbias);
               });
             });
           });
  }
  return y;
}

Tensor dropout_add_layer_norm(const Tensor& input, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                              double eps, double p, Generator* rng) {
  constexpr const char* op = "dropout_add_layer_norm";
  check(input, weight, bias, op);
  check_same_dtype(input, residual, op);
  check_dropout(p, op);
  if (residual.shape() != input.shape()) {
    throw ShapeError(
        fmt::format("{}: x {} and residual {} differ", op, to_string(input.shape()), to_string(residual.shape())));
  }
  const Tensor x = input.contiguous(), skip = residual.contiguous();
  const Tensor gamma = weight.contiguous(), beta = bias.contiguous();
  const int64_t width = x.size(-1), rows = x.numel() / width;
  const bool dropping = rng != nullptr && p > 0;
  const Tensor mask = dropping ? keep_mask(x.numel(), p, *rng) : Tensor::empty({0}, DType::u8);
  const double factor = dropping ? 1 / (1 - p) : 1;
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  // Only backward needs the sum beside the result.
  const bool records = recording({input, residual, weight, bias});
  const Tensor sum = records ? Tensor::empty(x.shape(), x.dtype()) : y;
  const Tensor stats = Tensor::empty({rows, kStatistics}, x.dtype());
  dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>();
    const T* other = skip.data<T>();
    const uint8_t* keep = mask.data<uint8_t>();
    T* total = sum.data<T>();
    parallel_for(rows, norm_row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = r * width;
        if (dropping) {
          kernels::kernels<T>().drop(width, keep + at, T(factor), in + at, other + at, total + at);
        } else {
          kernels::kernels<T>().add(width, other + at, in + at, total + at);
        }
        kernels::kernels<T>().layer_norm(width, total + at, gamma.data<T>(), beta.data<T>(), T(eps), y.data<T>() + at,
                                         statistics_of<T>(stats, r));
      }
    });
  });
  if (records) {
    record("dropout_add_layer_norm", y, {input, residual, weight, bias},
           [width, rows, dropping, factor, mask, stats, sum = Saved(sum), gamma = Saved(gamma)](const Tensor& dy,
                                                                                                GradSink& grad) {
             dispatch_floating(dy.dtype(), grad.op(), [&](auto zero) {
               using T = decltype(zero);
               const LayerNormRows<T> norm{sum.get(grad).data<T>(), gamma.get(grad).data<T>(), dy.data<T>(),
                                           statistics_of<T>(stats, 0), width};
               // With dropout, the residual's gradient differs from x's, so it is written straight to its target.
               GradSink::Target skip{};
               if (dropping && grad.needs(1)) skip = grad.target(1);
               const bool in_place = skip.tensor.defined() && !skip.accumulate;
               const Tensor dsum = in_place ? skip.tensor : Tensor::empty(dy.shape(), dy.dtype());
               T* through = dsum.data<T>();
               const uint8_t* keep = mask.data<uint8_t>();
               GradSink::Target dx{};
               if (dropping && grad.needs(0)) dx = grad.target(0);
               T* into = dx.tensor.defined() ? dx.tensor.data<T>() : nullptr;
               over_norm_rows<T>(rows, width, grad, 2, 2, [&](int64_t r, T* dweight, T* dbias) {
                 const int64_t at = r * width;
                 norm.run(r, through + at, false, dweight, dbias);
                 if (into == nullptr) return;
                 kernels::kernels<T>().drop(width, keep + at, T(factor), through + at,
                                            dx.accumulate ? into + at : nullptr, into + at);
               });
               if (!dropping) grad.add(0, dsum);
               if (!in_place) grad.add(1, dsum);
             });
           });
  }
  return y;
}

}  // namespace qing
