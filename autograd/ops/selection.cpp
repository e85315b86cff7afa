// Selections: piecewise linear functions. The operand that was chosen gets the gradient.
#include <qing/autograd/ops/selection.h>

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/tensor/scalar_rules.h>

namespace qing {
namespace {

Tensor choose(const Tensor& condition, const Tensor& a, const Tensor& b) {
  if (condition.dtype() != DType::boolean) {
    throw DTypeError(
        fmt::format("where: the condition is {}, needs bool; convert it with Tensor::to", name_of(condition.dtype())));
  }
  check_same_dtype(a, b, "where");
  const Shape shape = broadcast_shapes(condition.shape(), broadcast_shapes(a.shape(), b.shape(), "where"), "where");
  Tensor y = Tensor::empty(shape, a.dtype());
  dispatch_all(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = y.data<T>();
    for_blocks(shape, {condition, a, b}, Repeat::scalar, [out](int64_t begin, int64_t n, const Lane* in) {
      const bool* c = in[0].as<bool>();
      const T *p = in[1].as<T>(), *q = in[2].as<T>();
      for (int64_t i = 0; i < n; ++i) out[begin + i] = c[i * in[0].step] ? p[i * in[1].step] : q[i * in[2].step];
    });
  });
  return y;
}

// The share of the gradient that the first of two operands gets: 1 if it alone is the result, 1/2 if both are.
// `wins(first, second)` tells whether the first is the result.
template <class Wins> auto share_of(Wins wins) {
  return [wins](auto p, auto q) { return !wins(p, q) ? 0.0 : wins(q, p) && p == q ? 0.5 : 1.0; };
}

// y, the result of a choice between two: a where wins(a, b), b where second_wins(b, a).
template <class Wins, class SecondWins>
Tensor chosen(OpName op, Tensor y, const Tensor& a, const Tensor& b, Wins wins, SecondWins second_wins) {
  if (recording({a, b})) {
    record(op, y, {a, b}, [wins, second_wins, a = Saved(a), b = Saved(b)](const Tensor& dy, GradSink& grad) {
      add_share(grad, 0, dy, share_of(wins), a.get(grad), b.get(grad));
      add_share(grad, 1, dy, share_of(second_wins), b.get(grad), a.get(grad));
    });
  }
  return y;
}
template <class Wins> Tensor chosen(OpName op, Tensor y, const Tensor& a, const Tensor& b, Wins wins) {
  return chosen(op, std::move(y), a, b, wins, wins);
}

// Numbers win against NaN. If both are NaN, the first operand gets the gradient.
template <class Compare> Tensor chosen_number(OpName op, Tensor y, const Tensor& a, const Tensor& b, Compare at_least) {
  return chosen(
      op, std::move(y), a, b, [at_least](auto p, auto q) { return at_least(p, q) || std::isnan(q); },
      [at_least](auto p, auto q) { return at_least(p, q) || (std::isnan(q) && !std::isnan(p)); });
}

// Comparisons with NaN are false; both operands then get the whole gradient.
struct Larger {
  bool operator()(auto p, auto q) const { return !(p < q); }
};
struct Smaller {
  bool operator()(auto p, auto q) const { return !(p > q); }
};

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  Tensor y = choose(condition, a, b);
  if (recording({a, b})) {
    record("where", y, {a, b}, [condition = Saved(condition)](const Tensor& dy, GradSink& grad) {
      const Tensor &taken = condition.get(grad), zero = constant_like(dy, 0);
      if (grad.needs(0)) grad.add(0, where(taken, dy, zero));
      if (grad.needs(1)) grad.add(1, where(taken, zero, dy));
    });
  }
  return y;
}

Tensor where(const Tensor& condition, const Tensor& a, Scalar b) {
  return where(condition, a, stored_scalar(b, a.dtype(), "where"));
}
Tensor where(const Tensor& condition, Scalar a, const Tensor& b) {
  return where(condition, stored_scalar(a, b.dtype(), "where"), b);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value) {
  return where(mask, stored_scalar(value, x.dtype(), "masked_fill"), x);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) { return where(mask, value, x); }

Tensor maximum(const Tensor& a, const Tensor& b) {
  return chosen("maximum", apply(Binary::maximum, a, b, "maximum"), a, b, Larger{});
}

Tensor minimum(const Tensor& a, const Tensor& b) {
  return chosen("minimum", apply(Binary::minimum, a, b, "minimum"), a, b, Smaller{});
}

Tensor fmax(const Tensor& a, const Tensor& b) {
  Tensor y = map(
      "fmax", [](auto p, auto q) { return std::fmax(p, q); }, a, b);
  return chosen_number("fmax", y, a, b, [](auto p, auto q) { return p >= q; });
}

Tensor fmin(const Tensor& a, const Tensor& b) {
  Tensor y = map(
      "fmin", [](auto p, auto q) { return std::fmin(p, q); }, a, b);
  return chosen_number("fmin", y, a, b, [](auto p, auto q) { return p <= q; });
}

Tensor clamp(const Tensor& x, std::optional<double> low, std::optional<double> high) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (!low && !high) throw ValueError("clamp: needs a lower or an upper bound");
  if (std::isnan(low.value_or(0)) || std::isnan(high.value_or(0))) {
    throw ValueError("clamp: a bound is NaN; leave it out for none");
  }
  const double missing = (high ? 0 : 1) - (low ? 0 : 1);
  return unary<Unary::clamp>(x, {low.value_or(-inf), high.value_or(inf), missing});
}

Tensor clamp_min(const Tensor& x, double low) {
  check_floating(x, "clamp_min");
  return clamp(x, low);
}
Tensor clamp_max(const Tensor& x, double high) {
  check_floating(x, "clamp_max");
  return clamp(x, std::nullopt, high);
}

Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high) {
  if (!low.defined() && !high.defined()) throw ValueError("clamp: needs a lower or an upper bound");
  if (!high.defined()) return chosen("clamp", apply(Binary::maximum, x, low, "clamp"), x, low, Larger{});
  if (!low.defined()) return chosen("clamp", apply(Binary::minimum, x, high, "clamp"), x, high, Smaller{});
  Tensor y = apply(Binary::minimum, apply(Binary::maximum, x, low, "clamp"), high, "clamp");
  if (recording({x, low, high})) {
    record("clamp", y, {x, low, high},
           [x = Saved(x), low = Saved(low), high = Saved(high)](const Tensor& dy, GradSink& grad) {
             // x shares with a bound that it equals, unless the bounds are equal too. If low > high, the result is
             // high.
             const auto to_x = [](auto p, auto lo, auto hi) {
               return p < lo || p > hi ? 0.0 : lo < hi && (p == lo || p == hi) ? 0.5 : 1.0;
             };
             const auto to_low = [](auto p, auto lo, auto hi) {
               return p < lo && lo <= hi ? 1.0 : p == lo && lo < hi ? 0.5 : 0.0;
             };
             const auto to_high = [](auto p, auto lo, auto hi) {
               return lo > hi || (p > hi && lo <= hi) ? 1.0 : p == hi && lo < hi ? 0.5 : 0.0;
             };
             const Tensor &v = x.get(grad), &l = low.get(grad), &h = high.get(grad);
             add_share(grad, 0, dy, to_x, v, l, h);
             add_share(grad, 1, dy, to_low, v, l, h);
             add_share(grad, 2, dy, to_high, v, l, h);
           });
  }
  return y;
}

Tensor clamp_min(const Tensor& x, const Tensor& low) { return clamp(x, low, Tensor()); }
Tensor clamp_max(const Tensor& x, const Tensor& high) { return clamp(x, Tensor(), high); }

Tensor nan_to_num(const Tensor& x, double nan, std::optional<double> posinf, std::optional<double> neginf) {
  const auto f = [](auto v, const auto* p) { return std::isnan(v) ? p[0] : std::isinf(v) ? p[v > 0 ? 1 : 2] : v; };
  const auto df = [](auto v, auto) { return std::isfinite(v) ? 1 : 0; };
  const double largest =
      x.dtype() == DType::f32 ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
  return unary(
      {"nan_to_num", Loops(f, df), Uses::input, nullptr, {nan, posinf.value_or(largest), neginf.value_or(-largest)}},
      x);
}

Tensor heaviside(const Tensor& x, const Tensor& values) {
  const auto f = [](auto v, auto at_zero) {
    using T = decltype(v);
    return v == 0 ? at_zero : v > 0 ? T(1) : v < 0 ? T(0) : v;
  };
  Tensor y = map("heaviside", f, x, values);
  if (recording({x, values})) {
    record("heaviside", y, {x, values}, [x = Saved(x)](const Tensor& dy, GradSink& grad) {
      add_share(
          grad, 0, dy, [](auto) { return 0; }, x.get(grad));
      add_share(
          grad, 1, dy, [](auto v) { return v == 0; }, x.get(grad));
    });
  }
  return y;
}

}  // namespace qing
