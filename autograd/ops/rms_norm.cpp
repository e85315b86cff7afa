// Root mean square normalisation.
#include <algorithm>
#include <limits>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/normalization.h>
#include <qing/autograd/ops/normalization_detail.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing {
namespace {

template <class T>
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma, const Tensor& rstd, int64_t width,
                       GradSink& grad) {
  GradSink::Target target{};
  if (grad.needs(0)) target = grad.target(0);
  T* into = target.tensor.defined() ? target.tensor.data<T>() : nullptr;
  over_norm_rows<T>(rstd.numel(), width, grad, 1, 1, [&](int64_t r, T* dweight, T*) {
    T* dx = into == nullptr ? nullptr : into + r * width;
    if (dx != nullptr && !target.accumulate) std::fill(dx, dx + width, T(0));
    kernels::kernels<T>().rms_norm_backward(width, x.data<T>() + r * width, gamma.data<T>(), dy.data<T>() + r * width,
                                            rstd.data<T>()[r], dx, dweight);
  });
}

}  // namespace

Tensor rms_norm(const Tensor& input, const Tensor& weight, double eps) {
  return rms_norm(input, weight.shape(), weight, eps);
}

Tensor rms_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, std::optional<double> eps) {
  const int64_t width = check_norm(input, normalized_shape, weight, {}, "rms_norm");
  const Tensor x = input.alias().contiguous(), gamma = weight_or(weight, normalized_shape, 1, x.dtype());
  const int64_t rows = x.numel() / width;
  const Tensor rstd = Tensor::empty({rows}, x.dtype());
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const double epsilon = dispatch_floating(x.dtype(), "rms_norm", [&](auto zero) {
    using T = decltype(zero);
    const T small = eps ? static_cast<T>(*eps) : std::numeric_limits<T>::epsilon();
    parallel_for(rows, norm_row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        kernels::kernels<T>().rms_norm(width, x.data<T>() + r * width, gamma.data<T>(), small, y.data<T>() + r * width,
                                       rstd.data<T>() + r);
      }
    });
    return static_cast<double>(small);
  });
  if (recording({input, weight})) {
    const auto dims = static_cast<int64_t>(normalized_shape.size());
    record("rms_norm", y, {input, weight},
           [width, dims, epsilon, rstd, x = Saved(x), gamma = Saved(gamma)](const Tensor& dy, GradSink& grad) {
             if (grad.create_graph()) {
               return norm_graph(dy, grad.input(0, x), grad.input(1, gamma), dims, epsilon, false, grad);
             }
             dispatch_floating(dy.dtype(), "rms_norm", [&](auto zero) {
               rms_norm_backward<decltype(zero)>(dy, x.get(grad), gamma.get(grad), rstd, width, grad);
             });
           });
  }
  return y;
}

}  // namespace qing
