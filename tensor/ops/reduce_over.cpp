// Reductions along any dimensions, written for dense chunks of lanes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <qing/tensor/denormals.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/order.h>
#include <qing/tensor/ops/reduce.h>
#include <qing/tensor/ops/reduce_lanes.h>

namespace qing {
namespace {

struct FlushedAsFound {};  // keeps the thread's setting for flushing denormals

// Σ term(lane, element) for every lane, in double. With KeepDenormals as Denormals, denormal numbers are kept: the C
// library's functions are wrong where the processor flushes denormals to zero.
template <class T, class Denormals = FlushedAsFound, class Term>
std::vector<double> sums_of(const Tensor& x, const std::vector<int64_t>& dims, Term term) {
  std::vector<double> sums(static_cast<size_t>(numel_of(kept_shape(x.shape(), dims))));
  reduce_lanes<T>(
      x, dims, sums.data(),
      [&](int64_t lane, int64_t n, const T* data) {
        [[maybe_unused]] const Denormals denormals;
        return sum_in_chains(n, [&](int64_t i) { return term(lane, static_cast<double>(data[i])); });
      },
      sum_parts);
  return sums;
}

// The sums of the lanes. Lanes that are side by side are read row by row.
template <class T> std::vector<double> lane_sums(const Tensor& x, const std::vector<int64_t>& dims) {
  const Lanes lanes(x.layout(), dims, LaneOrder::storage);
  if (lanes.columns() && lanes.count() >= 2) {
    return column_sums(lanes.length(), lanes.count(), x.data<T>(), lanes.distance());
  }
  return sums_of<T>(x, dims, [](int64_t, double v) { return v; });
}

// y[lane] = finish(lane, sums[lane])
template <class T, class Finish>
Tensor finished(const Tensor& x, const std::vector<int64_t>& dims, const std::vector<double>& sums, Finish finish) {
  Tensor y = Tensor::empty(kept_shape(x.shape(), dims), x.dtype());
  T* out = y.data<T>();
  for (size_t lane = 0; lane < sums.size(); ++lane) out[lane] = static_cast<T>(finish(lane, sums[lane]));
  return y;
}

double as_is(size_t, double sum) { return sum; }

// The means of the lanes. For f64 they are corrected by the mean of the deviations, since a sum of equal numbers may
// differ from their multiple. A sum of f32 in double needs no correction.
template <class T> std::vector<double> lane_means(const Tensor& x, const std::vector<int64_t>& dims) {
  const auto count = static_cast<double>(count_over(x, dims));
  std::vector<double> means = lane_sums<T>(x, dims);
  for (double& mean : means) mean /= count;
  if constexpr (sizeof(T) == 4) return means;
  const std::vector<double> off = sums_of<T>(x, dims, [&means](int64_t lane, double v) { return v - means[lane]; });
  for (size_t lane = 0; lane < means.size(); ++lane) {
    const double corrected = means[lane] + off[lane] / count;
    if (std::isfinite(corrected)) means[lane] = corrected;
  }
  return means;
}

// Integers wrap in two's complement, without the undefined behaviour of signed overflow.
template <class Step>
Tensor reduce_integers(const Tensor& x, const std::vector<int64_t>& dims, const char* op, uint64_t start, Step step) {
  Tensor y = Tensor::empty(kept_shape(x.shape(), dims), DType::i64);
  const auto reduce = [start, step](int64_t n, const auto* values) {
    uint64_t folded = start;
    for (int64_t i = 0; i < n; ++i) folded = step(folded, static_cast<uint64_t>(static_cast<int64_t>(values[i])));
    return static_cast<int64_t>(folded);
  };
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    reduce_lanes<T>(
        x, dims, y.data<int64_t>(), [&](int64_t, int64_t n, const T* data) { return reduce(n, data); },
        [&](int64_t n, const int64_t* parts) { return reduce(n, parts); });
  };
  if (x.dtype() == DType::boolean) {
    run(false);
  } else {
    dispatch_integer(x.dtype(), op, run);
  }
  return y;
}

void check_lanes_have_elements(const Tensor& x, const std::vector<int64_t>& dims, const char* op) {
  for (const int64_t d : dims) {
    if (x.size(d) == 0) {
      throw ValueError(
          fmt::format("{}: dimension {} of shape {} has no elements to choose from", op, d, to_string(x.shape())));
    }
  }
}

template <class T> Tensor largest_magnitude(const Tensor& x, bool largest, const std::vector<int64_t>& dims) {
  Tensor y = Tensor::empty(kept_shape(x.shape(), dims), x.dtype());
  const auto reduce = [largest](int64_t n, const T* values) {
    const KeepDenormals keep;
    T best = n == 0 ? T(0) : std::abs(values[0]);
    for (int64_t i = 1; i < n; ++i) {
      if (more_extreme(std::abs(values[i]), best, largest)) best = std::abs(values[i]);
    }
    return best;
  };
  reduce_lanes<T>(
      x, dims, y.data<T>(), [&](int64_t, int64_t n, const T* data) { return reduce(n, data); }, reduce);
  return y;
}

// Σ |scaled(lane, x)|^p for every lane. Powers other than 2 always keep denormal numbers.
template <class T, class Denormals, class Scaled>
std::vector<double> power_sums(const Tensor& x, double p, const std::vector<int64_t>& dims, Scaled scaled) {
  if (p == 2) {
    return sums_of<T, Denormals>(x, dims, [scaled](int64_t lane, double v) {
      const double part = scaled(lane, v);
      return part * part;
    });
  }
  return sums_of<T, KeepDenormals>(
      x, dims, [scaled, p](int64_t lane, double v) { return std::pow(std::abs(scaled(lane, v)), p); });
}

// Whether no term of a sum of powers was lost to the limits of double. A smaller sum may lack terms that matter.
bool is_in_range(double sum) { return sum >= 0x1p-900 && sum <= std::numeric_limits<double>::max(); }

double root_of(double sum, double p) { return p == 2 ? std::sqrt(sum) : std::pow(sum, 1 / p); }

// Lanes whose sums left the range are summed again, in units of their largest |x| (smallest for p < 0).
template <class T> Tensor norm_of(const Tensor& x, double p, const std::vector<int64_t>& dims) {
  if (p == 0) {
    return finished<T>(x, dims, sums_of<T>(x, dims, [](int64_t, double v) { return v != 0 ? 1.0 : 0.0; }), as_is);
  }
  if (p == 1) return finished<T>(x, dims, sums_of<T>(x, dims, [](int64_t, double v) { return std::abs(v); }), as_is);
  const std::vector<double> sums = power_sums<T, FlushedAsFound>(x, p, dims, [](int64_t, double v) { return v; });
  constexpr double kSafeForF32 = 6;  // powers up to this of f32 stay in the range of double
  if ((sizeof(T) == 4 && std::abs(p) <= kSafeForF32) || std::all_of(sums.begin(), sums.end(), is_in_range)) {
    return finished<T>(x, dims, sums, [p](size_t, double sum) { return root_of(sum, p); });
  }
  const Tensor extremes = largest_magnitude<T>(x, p > 0, dims);
  std::vector<double> units;
  for (const T size : extremes.template span<T>()) units.push_back(std::isfinite(size) && size > 0 ? size : 1);
  const std::vector<double> again =
      power_sums<T, KeepDenormals>(x, p, dims, [&units](int64_t lane, double v) { return v / units[lane]; });
  return finished<T>(x, dims, sums, [&](size_t lane, double sum) {
    return is_in_range(sum) ? root_of(sum, p) : units[lane] * root_of(again[lane], p);
  });
}

}  // namespace

int64_t count_over(const Tensor& x, const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= x.size(d);
  return count;
}

Tensor sum_over(const Tensor& x, const std::vector<int64_t>& dims) {
  if (!is_floating(x.dtype())) {
    return reduce_integers(x, dims, "sum", 0, [](uint64_t a, uint64_t b) { return a + b; });
  }
  return dispatch_floating(x.dtype(), "sum", [&](auto zero) {
    using T = decltype(zero);
    return finished<T>(x, dims, lane_sums<T>(x, dims), as_is);
  });
}

Tensor product_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op) {
  return reduce_integers(x, dims, op, 1, [](uint64_t a, uint64_t b) { return a * b; });
}

Tensor extreme_over(const Tensor& x, const std::vector<int64_t>& dims, bool largest, const char* op) {
  check_lanes_have_elements(x, dims, op);
  Tensor y = Tensor::empty(kept_shape(x.shape(), dims), x.dtype());
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto reduce = [largest](int64_t n, const T* values) {
      T best = values[0];
      for (int64_t i = 1; i < n; ++i) {
        if (more_extreme(values[i], best, largest)) best = values[i];
      }
      return best;
    };
    const auto part = [&](int64_t, int64_t n, const T* data) { return reduce(n, data); };
    if (y.numel() > 0) reduce_lanes<T>(x, dims, y.data<T>(), part, reduce);
  });
  return y;
}

Tensor mean_over(const Tensor& x, const std::vector<int64_t>& dims, const char* op) {
  return dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const auto count = static_cast<double>(count_over(x, dims));
    return finished<T>(x, dims, lane_sums<T>(x, dims), [count](size_t, double sum) { return sum / count; });
  });
}

Tensor variance_over(const Tensor& x, const std::vector<int64_t>& dims, double degrees, bool root, const char* op) {
  return dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const std::vector<double> means = lane_means<T>(x, dims);
    const std::vector<double> squares = sums_of<T>(x, dims, [&means](int64_t lane, double v) {
      const double d = v - means[lane];
      return d * d;
    });
    return finished<T>(x, dims, squares, [=](size_t, double sum) {
      const double variance = sum / degrees;
      return root ? std::sqrt(variance) : variance;
    });
  });
}

Tensor norm_over(const Tensor& x, double p, const std::vector<int64_t>& dims, const char* op) {
  return dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    if (std::isnan(p)) throw ValueError(std::string(op) + ": p is NaN");
    if (p < 0 || std::isinf(p)) check_lanes_have_elements(x, dims, op);
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
    // If the largest element is infinite, it is the result; shifting by it would give ∞ − ∞.
    for (size_t lane = 0; lane < shift.size(); ++lane) shift[lane] = std::isinf(out[lane]) ? 0 : out[lane];
    const std::vector<double> sums =
        sums_of<T, KeepDenormals>(x, dims, [&shift](int64_t lane, double v) { return std::exp(v - shift[lane]); });
    for (size_t lane = 0; lane < shift.size(); ++lane) {
      if (!std::isinf(out[lane])) out[lane] = static_cast<T>(shift[lane] + std::log(sums[lane]));
    }
    return y;
  });
}

}  // namespace qing
