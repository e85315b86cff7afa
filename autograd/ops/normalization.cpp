// Layer normalisation, alone and fused with the dropout and the residual that come before it in an encoder.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/ops/reduce.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// Also the unit of the partial sums for the gradients of weight and bias, so it must not depend on anything.
constexpr int64_t kRowGrain = 64;

struct Statistics {
  Tensor mean, rstd;  // one a row
};

void check(const Tensor& x, const Tensor& weight, const Tensor& bias, const char* op) {
  check_same_dtype(x, weight, op);
  check_same_dtype(x, bias, op);
  const bool fits = x.dim() >= 1 && x.size(-1) >= 1 && weight.shape() == Shape{x.size(-1)} &&
                    bias.shape() == weight.shape();
  if (!fits) {
    throw ShapeError(fmt::format("{}: x {}, weight {}, bias {} do not fit; needs [..., n], [n], [n]", op,
                                 to_string(x.shape()), to_string(weight.shape()), to_string(bias.shape())));
  }
}

// Gradients of one LayerNorm over the rows begin..end: dx is written, partial sums of dweight and dbias are added to.
template <class T>
struct RowsBackward {
  const T* x;
  const T* weight;
  const T* dy;
  const T* mean;
  const T* rstd;
  int64_t width;

  void run(int64_t row, T* dx, bool accumulate, T* dweight, T* dbias) const {
    if (!accumulate) std::fill(dx, dx + width, T(0));
    kernels::kernels<T>().layer_norm_backward(width, x + row * width, weight, dy + row * width, mean[row], rstd[row],
                                              dx, dweight, dbias);
  }
};

// Calls body(row, dweight, dbias) on every row, with a chunk's own partial sums, which then go to inputs `weight` and
// weight + 1 of the sink.
template <class T, class Body>
void over_rows(int64_t rows, int64_t width, GradSink& grad, size_t weight, Body body) {
  const int64_t chunks = (rows + kRowGrain - 1) / kRowGrain;
  std::vector<T> partial(static_cast<size_t>(2 * chunks * width), T(0));
  parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      T* dweight = partial.data() + 2 * c * width;
      for (int64_t r = c * kRowGrain; r < std::min(rows, (c + 1) * kRowGrain); ++r) body(r, dweight, dweight + width);
    }
  });
  for (size_t i = 0; i < 2; ++i) {
    if (!grad.needs(weight + i)) continue;
    const auto target = grad.target(weight + i);
    sum_rows(chunks, width, partial.data() + static_cast<int64_t>(i) * width, 2 * width, target.tensor.data<T>(),
             target.accumulate);
  }
}

}  // namespace

Tensor layer_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, double eps) {
  check(input, weight, bias, "layer_norm");
  const Tensor x = input.contiguous(), gamma = weight.contiguous(), beta = bias.contiguous();
  const int64_t width = x.size(-1), rows = x.numel() / width;
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const Statistics stats{Tensor::empty({rows}, x.dtype()), Tensor::empty({rows}, x.dtype())};
  dispatch_floating(x.dtype(), "layer_norm", [&](auto zero) {
    using T = decltype(zero);
    parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        kernels::kernels<T>().layer_norm(width, x.data<T>() + r * width, gamma.data<T>(), beta.data<T>(), T(eps),
                                         y.data<T>() + r * width, stats.mean.data<T>() + r, stats.rstd.data<T>() + r);
      }
    });
  });
  if (recording({input, weight, bias})) {
    record("layer_norm", y, {input, weight, bias},
           [width, rows, x = Saved(x), gamma = Saved(gamma), stats](const Tensor& dy, GradSink& grad) {
             dispatch_floating(dy.dtype(), "layer_norm", [&](auto zero) {
               using T = decltype(zero);
               const RowsBackward<T> norm{x.get(grad).data<T>(), gamma.get(grad).data<T>(), dy.data<T>(),
                                          stats.mean.data<T>(),  stats.rstd.data<T>(),      width};
               if (grad.needs(0)) {
                 const auto target = grad.target(0);
                 T* dx = target.tensor.data<T>();
                 over_rows<T>(rows, width, grad, 1, [&](int64_t r, T* dweight, T* dbias) {
                   norm.run(r, dx + r * width, target.accumulate, dweight, dbias);
                 });
               } else {
                 over_rows<T>(rows, width, grad, 1, [&](int64_t r, T* dweight, T* dbias) {
                   kernels::kernels<T>().layer_norm_backward(width, norm.x + r * width, norm.weight,
                                                             norm.dy + r * width, norm.mean[r], norm.rstd[r], nullptr,
                                                             dweight, dbias);
                 });
               }
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
    throw ShapeError(fmt::format("{}: x {} and residual {} differ", op, to_string(input.shape()),
                                 to_string(residual.shape())));
  }
  const Tensor x = input.contiguous(), skip = residual.contiguous();
  const Tensor gamma = weight.contiguous(), beta = bias.contiguous();
  const int64_t width = x.size(-1), rows = x.numel() / width;
  const bool dropping = rng != nullptr && p > 0;
  const Tensor mask = dropping ? keep_mask(x.numel(), p, *rng) : Tensor::empty({0}, DType::u8);
  const double factor = dropping ? 1 / (1 - p) : 1;
  const Tensor sum = Tensor::empty(x.shape(), x.dtype());
  const Statistics stats{Tensor::empty({rows}, x.dtype()), Tensor::empty({rows}, x.dtype())};
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>();
    const T* other = skip.data<T>();
    const uint8_t* keep = mask.data<uint8_t>();
    T* total = sum.data<T>();
    parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = r * width;
        if (dropping) {
          for (int64_t i = at; i < at + width; ++i) total[i] = other[i] + (keep[i] ? in[i] * T(factor) : T(0));
        } else {
          kernels::kernels<T>().add(width, other + at, in + at, total + at);
        }
        kernels::kernels<T>().layer_norm(width, total + at, gamma.data<T>(), beta.data<T>(), T(eps),
                                         y.data<T>() + at, stats.mean.data<T>() + r, stats.rstd.data<T>() + r);
      }
    });
  });
  if (recording({input, residual, weight, bias})) {
    record("dropout_add_layer_norm", y, {input, residual, weight, bias},
           [width, rows, dropping, factor, mask, stats, sum = Saved(sum),
            gamma = Saved(gamma)](const Tensor& dy, GradSink& grad) {
             dispatch_floating(dy.dtype(), grad.op(), [&](auto zero) {
               using T = decltype(zero);
               const RowsBackward<T> norm{sum.get(grad).data<T>(), gamma.get(grad).data<T>(), dy.data<T>(),
                                          stats.mean.data<T>(),    stats.rstd.data<T>(),      width};
               const Tensor dsum = Tensor::empty(dy.shape(), dy.dtype());
               T* through = dsum.data<T>();
               const uint8_t* keep = mask.data<uint8_t>();
               GradSink::Target dx{};
               if (dropping && grad.needs(0)) dx = grad.target(0);
               T* into = dx.tensor.defined() ? dx.tensor.data<T>() : nullptr;
               over_rows<T>(rows, width, grad, 2, [&](int64_t r, T* dweight, T* dbias) {
                 const int64_t at = r * width;
                 norm.run(r, through + at, false, dweight, dbias);
                 if (into == nullptr) return;
                 for (int64_t i = at; i < at + width; ++i) {
                   const T value = keep[i] ? through[i] * T(factor) : T(0);
                   into[i] = dx.accumulate ? into[i] + value : value;
                 }
               });
               if (!dropping) grad.add(0, dsum);
               grad.add(1, dsum);
             });
           });
  }
  return y;
}

}  // namespace qing
