#include <qing/tensor/ops/compare.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <qing/tensor/convert.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/loops.h>
#include <qing/tensor/scalar_rules.h>

namespace qing {
namespace {

// Short floats as f32, which holds them exactly. Other dtypes unchanged.
Tensor comparable(const Tensor& x) {
  return x.dtype() == DType::f16 || x.dtype() == DType::bf16 ? x.to(DType::f32) : x;
}

bool all_true(const Tensor& x) {
  const auto values = x.span<bool>();
  return std::find(values.begin(), values.end(), false) == values.end();
}

template <class F> Tensor compare(const Tensor& a, const Tensor& b, const char* op, F f) {
  check_same_dtype(a, b, op);
  const Tensor left = comparable(a), right = comparable(b);
  return dispatch_all(left.dtype(), [&](auto zero) -> Tensor {
    using T = decltype(zero);
    if constexpr (is_short_float<T>) {
      throw DTypeError(std::string(op) + ": unreachable dtype");
    } else {
      return map_binary<bool, T>(left, right, op, f);
    }
  });
}

template <class F> Tensor compare(const Tensor& a, const Scalar& b, const char* op, F f) {
  return dispatch_all(a.dtype(), [&](auto zero) -> Tensor {
    using T = decltype(zero);
    if constexpr (!std::is_integral_v<T>) {
      return compare(a, stored_scalar(b, a.dtype(), op), op, f);
    } else if (is_nan(b)) {
      return Tensor::full(a.shape(), f(0.0, b.to_double()) ? 1 : 0, DType::boolean);
    } else {
      return map_unary<bool, T>(a, [=](T x) { return f(three_way_compare(static_cast<int64_t>(x), b), 0); });
    }
  });
}

constexpr auto kEq = [](auto a, auto b) { return a == b; };
constexpr auto kNe = [](auto a, auto b) { return a != b; };
constexpr auto kLt = [](auto a, auto b) { return a < b; };
constexpr auto kLe = [](auto a, auto b) { return a <= b; };
constexpr auto kGt = [](auto a, auto b) { return a > b; };
constexpr auto kGe = [](auto a, auto b) { return a >= b; };

template <class F> Tensor logical(const Tensor& a, const Tensor& b, const char* op, F f) {
  return map_binary<bool, bool>(a.to(DType::boolean), b.to(DType::boolean), op, f);
}

// Applies f to every element as f64. Integers are always finite.
template <class F> Tensor classify(const Tensor& x, F f) {
  return dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return map_unary<bool, T>(x, [f](T value) { return static_cast<bool>(f(convert<double>(value))); });
  });
}

}  // namespace

Tensor eq(const Tensor& a, const Tensor& b) { return compare(a, b, "eq", kEq); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare(a, b, "ne", kNe); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare(a, b, "lt", kLt); }
Tensor le(const Tensor& a, const Tensor& b) { return compare(a, b, "le", kLe); }
Tensor gt(const Tensor& a, const Tensor& b) { return compare(a, b, "gt", kGt); }
Tensor ge(const Tensor& a, const Tensor& b) { return compare(a, b, "ge", kGe); }
Tensor eq(const Tensor& a, Scalar b) { return compare(a, b, "eq", kEq); }
Tensor ne(const Tensor& a, Scalar b) { return compare(a, b, "ne", kNe); }
Tensor lt(const Tensor& a, Scalar b) { return compare(a, b, "lt", kLt); }
Tensor le(const Tensor& a, Scalar b) { return compare(a, b, "le", kLe); }
Tensor gt(const Tensor& a, Scalar b) { return compare(a, b, "gt", kGt); }
Tensor ge(const Tensor& a, Scalar b) { return compare(a, b, "ge", kGe); }

Tensor logical_and(const Tensor& a, const Tensor& b) {
  return logical(a, b, "logical_and", [](bool x, bool y) { return x && y; });
}
Tensor logical_or(const Tensor& a, const Tensor& b) {
  return logical(a, b, "logical_or", [](bool x, bool y) { return x || y; });
}
Tensor logical_xor(const Tensor& a, const Tensor& b) { return logical(a, b, "logical_xor", kNe); }
Tensor logical_not(const Tensor& x) {
  return map_unary<bool, bool>(x.to(DType::boolean), [](bool value) { return !value; });
}

Tensor isnan(const Tensor& x) {
  return classify(x, [](double v) { return std::isnan(v); });
}
Tensor isinf(const Tensor& x) {
  return classify(x, [](double v) { return std::isinf(v); });
}
Tensor isfinite(const Tensor& x) {
  return classify(x, [](double v) { return std::isfinite(v); });
}

Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  check_same_dtype(a, b, "isclose");
  if (!(rtol >= 0) || !(atol >= 0)) throw ValueError("isclose: rtol and atol must not be negative");
  return map_binary<bool, double>(a.to(DType::f64), b.to(DType::f64), "isclose", [=](double x, double y) {
    if (x == y) return true;
    if (equal_nan && std::isnan(x) && std::isnan(y)) return true;
    const double difference = std::fabs(x - y);
    return std::isfinite(difference) && difference <= atol + rtol * std::fabs(y);
  });
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  return all_true(isclose(a, b, rtol, atol, equal_nan));
}

bool equal(const Tensor& a, const Tensor& b) {
  check_same_dtype(a, b, "equal");
  return a.shape() == b.shape() && all_true(eq(a, b));
}

bool identical(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  const Tensor left = a.contiguous(), right = b.contiguous();
  return dispatch_all(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const size_t bytes = static_cast<size_t>(a.numel()) * sizeof(T);
    return bytes == 0 || std::memcmp(left.data<T>(), right.data<T>(), bytes) == 0;
  });
}

}  // namespace qing
