// Reductions along any dimensions, written on dense chunks of lanes.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/fold.h>
#include <qing/tensor/ops/order.h>
#include <qing/tensor/ops/reduce.h>

namespace qing {
namespace {

// y[lane] = finish(Σ term(lane, element)), in double.
template <class T, class Term, class Finish>
Tensor sum_of(const Tensor& x, const std::vector<int64_t>& dims, Term term, Finish finish) {
  Tensor y = Tensor::empty(kept_shape(x.shape(), dims), x.dtype());
  std::vector<double> sums(static_cast<size_t>(y.numel()));
  fold_lanes<T>(
      x, dims, sums.data(),
      [&](int64_t lane, int64_t n, const T* data) {
        return sum_in_chains(n, [&](int64_t i) { return term(lane, static_cast<double>(data[i])); });
      },
      sum_parts);
  T* out = y.data<T>();
  for (size_t lane = 0; lane < sums.size(); ++lane) out[lane] = static_cast<T>(finish(sums[lane]));
  return y;
}

double as_is(double sum) { return sum; }

// Integers wrap around: two's complement, without the undefined behaviour of signed overflow.
template <class Step>
Tensor fold_integers(const Tensor& x, const std::vector<int64_t>& dims, const char* op, uint64_t start, Step step) {
  Tensor y = Tensor::empty(kept_shape(x.shape(), dims), DType::i64);
  const auto fold = [start, step](int64_t n, const auto* values) {
    uint64_t folded = start;
    for (int64_t i = 0; i < n; ++i) folded = step(folded, static_cast<uint64_t>(static_cast<int64_t>(values[i])));
    return static_cast<int64_t>(folded);
  };
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    fold_lanes<T>(
        x, dims, y.data<int64_t>(), [&](int64_t, int64_t n, const T* data) { return fold(n, data); },
        [&](int64_t n, const int64_t* parts) { return fold(n, parts); });
  };
  if (x.dtype() == DType::boolean) {
    run(false);
  } else {
    dispatch_integer(x.dtype(), op, run);
  }
  return y;
}

void check_something(const Tensor& x, const std::vector<int64_t>& dims, const char* op) {
  for (const int64_t d : dims) {
    if (x.size(d) == 0) {
      throw ValueError(
          fmt::format("{}: dimension {} of shape {} has no elements to choose from", op, d, to_string(x.shape())));
    }
  }
}

// The norm's terms and what is done with their sum.
template <class T> Tensor norm_of(const Tensor& x, double p, const std::vector<int64_t>& dims) {
  if (p == 0)
    return sum_of<T>(
        x, dims, [](int64_t, double v) { return v != 0 ? 1.0 : 0.0; }, as_is);
  if (p == 1)
    return sum_of<T>(
        x, dims, [](int64_t, double v) { return std::abs(v); }, as_is);
  if (p == 2) {
    return sum_of<T>(
        x, dims, [](int64_t, double v) { return v * v; }, [](double sum) { return std::sqrt(sum); });
  }
  return sum_of<T>(
      x, dims, [p](int64_t, double v) { return std::pow(std::abs(v), p); },
      [p](double sum) { return std::pow(sum, 1 / p); });
}

template <class T> Tensor largest_magnitude(const Tensor& x, bool largest, const std::vector<int64_t>& dims) {
  Tensor y = Tensor::empty(kept_shape(x.shape(), dims), x.dtype());
  const auto fold = [largest](int64_t n, const T* values) {
    T best = n == 0 ? T(0) : std::abs(values[0]);
    for (int64_t i = 1; i < n; ++i) {
      if (more_extreme(std::abs(values[i]), best, largest)) best = std::abs(values[i]);
    }
    return best;
  };
  fold_lanes<T>(
      x, dims, y.data<T>(), [&](int64_t, int64_t n, const T* data) { return fold(n, data); }, fold);
  return y;
}

}  // namespace

Tensor sum_over(const Tensor& x, const std::vector<int64_t>& dims) {
  if (!is_floating(x.dtype())) {
    return fold_integers(x, dims, "sum", 0, [](uint64_t a, uint64_t b) { return a + b; });
  }
  return dispatch_floating(x.dtype(), "sum", [&](auto zero) {
    using T = decltype(zero);
    const Lanes lanes(x.layout(), dims, LaneOrder::storage);
    if (!lanes.columns() || lanes.count() < 2)
      return sum_of<T>(
          x, dims, [](int64_t, double v) { return v; }, as_is);
    Tensor y = Tensor::empty(kept_shape(x.shape(), dims), x.dtype());
    sum_rows(lanes.length(), lanes.count(), x.data<T>(), lanes.distance(), y.data<T>(), false);
    return y;
  });
}

Tensor product_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op) {
  return fold_integers(x, dims, op, 1, [](uint64_t a, uint64_t b) { return a * b; });
}

Tensor extreme_over(const Tensor& x, const std::vector<int64_t>& dims, bool largest, const char* op) {
  check_something(x, dims, op);
  Tensor y = Tensor::empty(kept_shape(x.shape(), dims), x.dtype());
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto fold = [largest](int64_t n, const T* values) {
      T best = values[0];
      for (int64_t i = 1; i < n; ++i) {
        if (more_extreme(values[i], best, largest)) best = values[i];
      }
      return best;
    };
    const auto part = [&](int64_t, int64_t n, const T* data) { return fold(n, data); };
    if (y.numel() > 0) fold_lanes<T>(x, dims, y.data<T>(), part, fold);
  });
  return y;
}

Tensor squares_around(const Tensor& x, const Tensor& mean, const std::vector<int64_t>& dims, const char* op) {
  return dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const Tensor dense = mean.contiguous();
    const T* center = dense.data<T>();
    return sum_of<T>(
        x, dims,
        [center](int64_t lane, double v) {
          const double d = v - static_cast<double>(center[lane]);
          return d * d;
        },
        as_is);
  });
}

Tensor norm_over(const Tensor& x, double p, const std::vector<int64_t>& dims, const char* op) {
  return dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    if (std::isnan(p)) throw ValueError(std::string(op) + ": p is NaN");
    if (p < 0 || std::isinf(p)) check_something(x, dims, op);
    if (!std::isinf(p)) return norm_of<T>(x, p, dims);
    return largest_magnitude<T>(x, p > 0, dims);
  });
}

Tensor logsumexp_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op) {
  return dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    if (numel_of(kept_shape(x.shape(), dims)) > 0 && x.numel() == 0) {
      return Tensor::full(kept_shape(x.shape(), dims), -kInfinity, x.dtype());
    }
    Tensor y = extreme_over(x, dims, true, op);
    std::vector<double> shift(static_cast<size_t>(y.numel()));
    T* out = y.data<T>();
    // An infinite largest element is the answer; shifting by it would give ∞ − ∞.
    for (size_t lane = 0; lane < shift.size(); ++lane) shift[lane] = std::isinf(out[lane]) ? 0 : out[lane];
    const Tensor sums = sum_of<T>(
        x, dims, [&shift](int64_t lane, double v) { return std::exp(v - shift[lane]); },
        [](double sum) { return std::log(sum); });
    const T* logs = sums.data<T>();
    for (size_t lane = 0; lane < shift.size(); ++lane) {
      if (!std::isinf(out[lane])) out[lane] = static_cast<T>(shift[lane] + static_cast<double>(logs[lane]));
    }
    return y;
  });
}

}  // namespace qing
