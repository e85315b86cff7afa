#include <fmt/format.h>
#include <qing/autograd/autograd.h>
#include <qing/optim/clip.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/ops/reduce.h>

#include <atomic>
#include <cmath>

namespace qing::optim {
namespace {

void check_above_0(const char* op, const char* what, double value) {
  if (!std::isfinite(value) || value <= 0) {
    throw ValueError(fmt::format("{}: {} is {}; it must be above 0", op, what, value));
  }
}

// Calls body(n, data) over pieces of every gradient, on many threads; what is known to be zero is left out.
template <class Body>
void for_each_grad(const std::vector<Tensor>& parameters, const char* op, Body body) {
  for (const Tensor& parameter : parameters) {
    const auto [gradient, rows] = row_grad(parameter);
    if (!gradient.defined()) continue;
    dispatch_floating(gradient.dtype(), op, [&, &gradient = gradient, &rows = rows](auto zero) {
      auto* g = gradient.data<decltype(zero)>();
      const int64_t n = gradient.numel();
      if (rows == nullptr) {
        return parallel_for(n, kElementGrain, [&](int64_t begin, int64_t end) { body(end - begin, g + begin); });
      }
      const int64_t width = rows->empty() ? 0 : n / gradient.size(0);
      for (const int64_t row : *rows) body(width, g + row * width);
    });
  }
}

double sum_of_squares(const RowGradient& of) {
  if (of.rows == nullptr) return sum_of_squares(of.gradient);
  double total = 0;
  for (const int64_t row : *of.rows) total += sum_of_squares(of.gradient.select(0, row));
  return total;
}

}  // namespace

void scale_grad(const std::vector<Tensor>& parameters, double factor) {
  for_each_grad(parameters, "scale_grad",
                [factor]<class T>(int64_t n, T* g) { kernels::kernels<T>().scale(n, static_cast<T>(factor), g); });
}

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, bool error_if_nonfinite) {
  check_above_0("clip_grad_norm", "max_norm", max_norm);
  double total = 0;
  for (const Tensor& parameter : parameters) {
    const RowGradient gradient = row_grad(parameter);
    if (gradient.gradient.defined()) total += sum_of_squares(gradient);
  }
  const double norm = std::sqrt(total);
  if (error_if_nonfinite && !std::isfinite(norm)) {
    throw ValueError(
        fmt::format("clip_grad_norm: the norm of the gradients is {}; use a smaller learning rate, or "
                    "look for the operation that made it",
                    norm));
  }
  if (std::isfinite(norm) && norm > max_norm) scale_grad(parameters, max_norm / norm);
  return norm;
}

void clip_grad_value(const std::vector<Tensor>& parameters, double clip_value) {
  check_above_0("clip_grad_value", "clip_value", clip_value);
  for_each_grad(parameters, "clip_grad_value", [clip_value]<class T>(int64_t n, T* g) {
    const T top = static_cast<T>(clip_value);
    for (int64_t i = 0; i < n; ++i) g[i] = g[i] > top ? top : g[i] < -top ? -top : g[i];
  });
}

bool grads_are_finite(const std::vector<Tensor>& parameters) {
  std::atomic<bool> finite{true};
  for_each_grad(parameters, "grads_are_finite", [&finite]<class T>(int64_t n, T* g) {
    bool all = true;
    for (int64_t i = 0; i < n; ++i) all &= std::isfinite(g[i]);
    if (!all) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

}  // namespace qing::optim
