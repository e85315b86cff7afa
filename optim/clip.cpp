#include <fmt/format.h>
#include <qing/autograd/autograd.h>
#include <qing/optim/clip.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

namespace qing::optim {
namespace {

// Pieces that a thread takes at a time: most are small.
constexpr int64_t kNormGrain = 4;

void check_above_0(const char* op, const char* what, double value) {
  if (!std::isfinite(value) || value <= 0) {
    throw ValueError(fmt::format("{}: {} is {}; it must be above 0", op, what, value));
  }
}

// Calls body(n, data) over pieces of every gradient, on many threads; what is known to be zero is left out.
template <class Body> void for_each_grad(const std::vector<Tensor>& parameters, const char* op, Body body) {
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

// Elements of a gradient, or rows of those it knows.
struct NormPiece {
  size_t of;
  int64_t begin, end;
};

double sum_of_squares(const RowGradient& of, const NormPiece& piece) {
  return dispatch_floating(of.gradient.dtype(), "total_grad_norm", [&](auto zero) {
    using T = decltype(zero);
    const auto& table = kernels::kernels<T>();
    const T* const g = of.gradient.data<T>();
    if (of.rows == nullptr) return static_cast<double>(table.sum_squares(piece.end - piece.begin, g + piece.begin));
    const int64_t width = of.gradient.numel() / of.gradient.size(0);
    double total = 0;
    for (int64_t i = piece.begin; i < piece.end; ++i) {
      total += static_cast<double>(table.sum_squares(width, g + (*of.rows)[static_cast<size_t>(i)] * width));
    }
    return total;
  });
}

}  // namespace

void scale_grad(const std::vector<Tensor>& parameters, double factor) {
  for_each_grad(parameters, "scale_grad",
                [factor]<class T>(int64_t n, T* g) { kernels::kernels<T>().scale(n, static_cast<T>(factor), g); });
}

double total_grad_norm(const std::vector<Tensor>& parameters, bool error_if_nonfinite) {
  std::vector<RowGradient> gradients;
  std::vector<NormPiece> pieces;
  for (const Tensor& parameter : parameters) {
    const RowGradient& of = gradients.emplace_back(row_grad(parameter));
    if (!of.gradient.defined()) continue;
    const int64_t units = of.rows == nullptr ? of.gradient.numel() : static_cast<int64_t>(of.rows->size());
    const int64_t width = of.rows == nullptr || units == 0 ? 1 : of.gradient.numel() / of.gradient.size(0);
    const int64_t grain = std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, width));
    for (int64_t begin = 0; begin < units; begin += grain) {
      pieces.push_back({gradients.size() - 1, begin, std::min(units, begin + grain)});
    }
  }
  std::vector<double> partial(pieces.size());
  parallel_for(static_cast<int64_t>(pieces.size()), kNormGrain, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      partial[i] = sum_of_squares(gradients[pieces[i].of], pieces[i]);
    }
  });
  const double norm = std::sqrt(std::accumulate(partial.begin(), partial.end(), 0.0));
  if (error_if_nonfinite && !std::isfinite(norm)) {
    throw ValueError(
        fmt::format("clip_grad_norm: the norm of the gradients is {}; use a smaller learning rate, or "
                    "look for the operation that made it",
                    norm));
  }
  return norm;
}

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, bool error_if_nonfinite) {
  check_above_0("clip_grad_norm", "max_norm", max_norm);
  const double norm = total_grad_norm(parameters, error_if_nonfinite);
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
