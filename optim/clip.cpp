#include <qing/optim/clip.h>

#include <fmt/format.h>
#include <qing/autograd/autograd.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

namespace qing::optim {
namespace {

// Number of pieces that a thread takes at a time, because most pieces are small.
constexpr int64_t kNormGrain = 4;

void check_above_0(const char* op, const char* what, double value) {
  if (!std::isfinite(value) || value <= 0) {
    throw ValueError(fmt::format("{}: {} is {}; it must be above 0", op, what, value));
  }
}

// Calls body(n, data) for pieces of every gradient, on many threads. Rows that are known to be zero are skipped.
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

// A range of elements of a gradient, or of its known nonzero rows.
struct NormPiece {
  size_t of;
  int64_t begin, end;
};

// Returns the pieces of all gradients that are not known to be zero.
std::vector<NormPiece> pieces_of(const std::vector<RowGradient>& gradients) {
  std::vector<NormPiece> pieces;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const RowGradient& of = gradients[i];
    if (!of.gradient.defined()) continue;
    const int64_t units = of.rows == nullptr ? of.gradient.numel() : static_cast<int64_t>(of.rows->size());
    const int64_t width = of.rows == nullptr || units == 0 ? 1 : of.gradient.numel() / of.gradient.size(0);
    const int64_t grain = std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, width));
    for (int64_t begin = 0; begin < units; begin += grain) pieces.push_back({i, begin, std::min(units, begin + grain)});
  }
  return pieces;
}

// Calls body(n, data) for the runs of elements of a piece.
template <class Body> void for_each_run(const RowGradient& of, const NormPiece& piece, const Body& body) {
  dispatch_floating(of.gradient.dtype(), "total_grad_norm", [&](auto zero) {
    using T = decltype(zero);
    const T* const g = of.gradient.data<T>();
    if (of.rows == nullptr) return body(piece.end - piece.begin, g + piece.begin);
    const int64_t width = of.gradient.numel() / of.gradient.size(0);
    for (int64_t i = piece.begin; i < piece.end; ++i) body(width, g + (*of.rows)[static_cast<size_t>(i)] * width);
  });
}

// Computes partial(piece) for every piece, on many threads.
template <class Partial> std::vector<double> over_pieces(const std::vector<NormPiece>& pieces, const Partial& partial) {
  std::vector<double> results(pieces.size());
  parallel_for(static_cast<int64_t>(pieces.size()), kNormGrain, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) results[i] = partial(pieces[i]);
  });
  return results;
}

// Computes the norm when squares leave the range of the gradients' dtype: it sums squares in units of the largest |g|.
// If the largest |g| is 0, infinite or NaN, it is the norm.
double scaled_norm(const std::vector<RowGradient>& gradients, const std::vector<NormPiece>& pieces) {
  const auto larger = [](double a, double b) { return b > a || std::isnan(b) ? b : a; };
  const std::vector<double> tops = over_pieces(pieces, [&](const NormPiece& piece) {
    double top = 0;
    for_each_run(gradients[piece.of], piece, [&](int64_t n, const auto* g) {
      for (int64_t i = 0; i < n; ++i) top = larger(top, std::abs(static_cast<double>(g[i])));
    });
    return top;
  });
  const double unit = std::accumulate(tops.begin(), tops.end(), 0.0, larger);
  if (unit == 0 || !std::isfinite(unit)) return unit;
  const std::vector<double> sums = over_pieces(pieces, [&](const NormPiece& piece) {
    double sum = 0;
    for_each_run(gradients[piece.of], piece, [&](int64_t n, const auto* g) {
      for (int64_t i = 0; i < n; ++i) {
        const double share = static_cast<double>(g[i]) / unit;
        sum += share * share;
      }
    });
    return sum;
  });
  return unit * std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

// Returns normal numbers of T whose product is the factor, if the factor is finite and not 0. All but the last are
// powers of two, so multiplying by them is exact.
template <class T> std::vector<T> parts_of(double factor) {
  constexpr double least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
  std::vector<T> parts;
  while (factor != 0 && std::isfinite(factor) && (std::abs(factor) < least || std::abs(factor) > most)) {
    parts.push_back(static_cast<T>(std::abs(factor) < 1 ? least : 1 / least));
    factor /= static_cast<double>(parts.back());
  }
  parts.push_back(static_cast<T>(factor));
  return parts;
}

}  // namespace

void scale_grad(const std::vector<Tensor>& parameters, double factor) {
  // Computed here, because parallel_for flushes a denormal factor to zero.
  const std::vector<float> parts_f32 = parts_of<float>(factor);
  const std::vector<double> parts_f64 = parts_of<double>(factor);
  for_each_grad(parameters, "scale_grad", [&]<class T>(int64_t n, T* g) {
    const auto scale_by = [&](const std::vector<T>& parts) {
      for (const T part : parts) kernels::kernels<T>().scale(n, part, g);
    };
    if constexpr (sizeof(T) == sizeof(float)) {
      scale_by(parts_f32);
    } else {
      scale_by(parts_f64);
    }
  });
}

double total_grad_norm(const std::vector<Tensor>& parameters, bool error_if_nonfinite) {
  std::vector<RowGradient> gradients;
  gradients.reserve(parameters.size());
  for (const Tensor& parameter : parameters) gradients.push_back(row_grad(parameter));
  const std::vector<NormPiece> pieces = pieces_of(gradients);
  int64_t count = 0;
  for (const RowGradient& of : gradients) count += of.gradient.defined() ? of.gradient.numel() : 0;
  const std::vector<double> sums = over_pieces(pieces, [&](const NormPiece& piece) {
    double sum = 0;
    for_each_run(gradients[piece.of], piece, [&]<class T>(int64_t n, const T* g) {
      sum += static_cast<double>(kernels::kernels<T>().sum_squares(n, g));
    });
    return sum;
  });
  const double squares = std::accumulate(sums.begin(), sums.end(), 0.0);
  // Squares of f32 below 2^-126 may have underflowed. They do not matter in a sum of at least 2^-102 per element.
  const bool in_range = std::isfinite(squares) && squares >= static_cast<double>(count) * 0x1p-102;
  const double norm = in_range ? std::sqrt(squares) : scaled_norm(gradients, pieces);
  if (error_if_nonfinite && !std::isfinite(norm)) {
    throw ValueError(
        fmt::format("clip_grad_norm: the norm of the gradients is {}; use a smaller learning rate, or "
                    "look for the operation that made it",
                    norm));
  }
  return norm;
}

double clip_factor(double norm, double max_norm) { return norm <= max_norm ? 1 : max_norm / norm; }

double clip_for_pass(const std::vector<Tensor>& parameters, double norm, double max_norm) {
  const double factor = clip_factor(norm, max_norm);
  if (std::isnan(factor)) {
    for (const Tensor& parameter : parameters)
      grad(parameter);  // ends the row tracking, so that rows known to be zero become NaN too
    return factor;
  }
  if (!std::isfinite(norm) || factor >= std::numeric_limits<float>::min()) return factor;
  if (factor >= std::numeric_limits<double>::min()) {
    scale_grad(parameters, factor);
  } else {
    for (int i = 0; i < 2; ++i) scale_grad(parameters, std::sqrt(max_norm) / std::sqrt(norm));
  }
  return 1;
}

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, bool error_if_nonfinite) {
  check_above_0("clip_grad_norm", "max_norm", max_norm);
  const double norm = total_grad_norm(parameters, error_if_nonfinite);
  const double rest = clip_for_pass(parameters, norm, max_norm);
  if (rest != 1) scale_grad(parameters, rest);
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
