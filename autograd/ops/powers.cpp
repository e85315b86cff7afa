// Functions of two numbers. Each derivative is an expression of differentiable operations, so it has derivatives too.
#include <qing/autograd/ops/powers.h>

#include <cmath>
#include <numbers>

#include <qing/autograd/ops/activations.h>
#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/autograd/ops/selection.h>
#include <qing/tensor/ops/compare.h>

namespace qing {
namespace {

Tensor plain_pow(const Tensor& base, double exponent) {
  const char* op = "pow";
  if (exponent == 2)
    return map(
        op, [](auto v) { return v * v; }, base);
  if (exponent == 3)
    return map(
        op, [](auto v) { return v * v * v; }, base);
  if (exponent == 0.5)
    return map(
        op, [](auto v) { return std::sqrt(v); }, base);
  if (exponent == -1)
    return map(
        op, [](auto v) { return 1 / v; }, base);
  return map(
      op, [exponent](auto v) { return std::pow(v, static_cast<decltype(v)>(exponent)); }, base);
}

// y = f(a, b). da and db are the derivatives of y, given a, b and y.
template <class F, class Da, class Db> Tensor binary(OpName op, const Tensor& a, const Tensor& b, F f, Da da, Db db) {
  Tensor y = map(op.c_str(), f, a, b);
  if (recording({a, b})) {
    record(op, y, {a, b}, [da, db, a = Saved(a), b = Saved(b), y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor p = grad.input(0, a), q = grad.input(1, b), r = grad.output(y);
      if (grad.needs(0)) grad.add(0, mul(dy, da(p, q, r)));
      if (grad.needs(1)) grad.add(1, mul(dy, db(p, q, r)));
    });
  }
  return y;
}

// The expression, with 0 where a mask of a and b is true: NaN of the expression does not show there.
template <class Mask> Tensor zero_where(Mask mask, const Tensor& a, const Tensor& b, const Tensor& expression) {
  return where(map("where", mask, a.alias(), b.alias()), 0, expression);
}

// a minus a multiple of b. The derivatives are 1 and −(the multiple).
template <class F>
Tensor remainder_like(OpName op, const Tensor& a, const Tensor& b, F f,
                      Tensor (*multiple)(const Tensor&, const Tensor&)) {
  return binary(
      op, a, b, f, [](const Tensor& p, const Tensor&, const Tensor&) { return constant_like(p, 1); },
      [multiple](const Tensor& p, const Tensor& q, const Tensor&) { return neg(multiple(p, q)); });
}

Tensor truncated_quotient(const Tensor& a, const Tensor& b) { return trunc(div(a, b)); }

template <class T> T python_mod(T a, T b) {
  const T m = std::fmod(a, b);
  return m != 0 && (b < 0) != (m < 0) ? m + b : m;
}

// CPython's float_floor_div. (a − mod)/b is nearly whole; rounding it gives the exact floor(a/b). The remainder of fmod
// is finite where b is infinite; python_mod's may be infinite.
template <class T> T python_floor_div(T a, T b) {
  if (b == 0) return a / b;
  const T mod = std::fmod(a, b);
  const T quotient = (a - mod) / b - (mod != 0 && (b < 0) != (mod < 0) ? 1 : 0);
  if (quotient == 0) return std::copysign(T(0), a / b);
  const T whole = std::floor(quotient);
  return quotient - whole > T(0.5) ? whole + 1 : whole;
}

}  // namespace

Tensor pow(const Tensor& base, double exponent) {
  Tensor y = plain_pow(base, exponent);
  if (recording({base})) {
    record("pow", y, {base}, [exponent, base = Saved(base)](const Tensor& dy, GradSink& grad) {
      const Tensor x = grad.input(0, base);
      // 0 also where x^−1 is infinite.
      grad.add(0, exponent == 0 ? mul(dy, 0) : mul(dy, mul(pow(x, exponent - 1), exponent)));
    });
  }
  return y;
}

Tensor pow(const Tensor& base, const Tensor& exponent) {
  return binary(
      "pow", base, exponent, [](auto p, auto q) { return std::pow(p, q); },
      [](const Tensor& p, const Tensor& q, const Tensor&) {
        return zero_where([](auto, auto e) { return e == 0; }, p, q, mul(q, pow(p, sub(q, 1))));
      },
      [](const Tensor& p, const Tensor& q, const Tensor& y) {
        return zero_where([](auto v, auto e) { return v == 0 && e >= 0; }, p, q, mul(y, log(p)));
      });
}

Tensor pow(double base, const Tensor& exponent) { return pow(floating_operand(exponent, base, "pow"), exponent); }

Tensor fmod(const Tensor& a, const Tensor& b) {
  return remainder_like(
      "fmod", a, b, [](auto p, auto q) { return std::fmod(p, q); }, truncated_quotient);
}

Tensor remainder(const Tensor& a, const Tensor& b) {
  return remainder_like(
      "remainder", a, b, [](auto p, auto q) { return python_mod(p, q); }, floor_divide);
}

Tensor floor_divide(const Tensor& a, const Tensor& b) {
  const auto none = [](const Tensor& p, const Tensor&, const Tensor&) { return constant_like(p, 0); };
  return binary(
      "floor_divide", a, b, [](auto p, auto q) { return python_floor_div(p, q); }, none, none);
}

Tensor fmod(const Tensor& a, double b) { return fmod(a, floating_operand(a, b, "fmod")); }
Tensor remainder(const Tensor& a, double b) { return remainder(a, floating_operand(a, b, "remainder")); }
Tensor floor_divide(const Tensor& a, double b) { return floor_divide(a, floating_operand(a, b, "floor_divide")); }

Tensor atan2(const Tensor& y, const Tensor& x) {
  // x/(x² + y²) and −y/(x² + y²); 0 where the squares round to 0, as in PyTorch.
  const auto over_square = [](const Tensor& part, const Tensor& p, const Tensor& q) {
    const Tensor squares = add(square(p), square(q));
    return where(eq(squares.alias(), 0), 0, div(part, squares));
  };
  return binary(
      "atan2", y, x, [](auto p, auto q) { return std::atan2(p, q); },
      [=](const Tensor& p, const Tensor& q, const Tensor&) { return over_square(q, p, q); },
      [=](const Tensor& p, const Tensor& q, const Tensor&) { return over_square(neg(p), p, q); });
}

Tensor hypot(const Tensor& a, const Tensor& b) {
  return binary(
      "hypot", a, b, [](auto p, auto q) { return std::hypot(p, q); },
      [](const Tensor& p, const Tensor&, const Tensor& y) { return div(p, y); },
      [](const Tensor&, const Tensor& q, const Tensor& y) { return div(q, y); });
}

Tensor logaddexp(const Tensor& a, const Tensor& b) {
  const auto f = [](auto p, auto q) {
    // Equal operands may be infinite; their difference would be NaN.
    return p == q ? p + decltype(p)(std::numbers::ln2) : std::fmax(p, q) + std::log1p(std::exp(-std::abs(p - q)));
  };
  return binary(
      "logaddexp", a, b, f, [](const Tensor& p, const Tensor& q, const Tensor&) { return sigmoid(sub(p, q)); },
      [](const Tensor& p, const Tensor& q, const Tensor&) { return sigmoid(sub(q, p)); });
}

Tensor copysign(const Tensor& magnitude, const Tensor& sign) {
  Tensor y = map(
      "copysign", [](auto p, auto q) { return std::copysign(p, q); }, magnitude, sign);
  if (recording({magnitude, sign})) {
    record("copysign", y, {magnitude, sign}, [p = Saved(magnitude), q = Saved(sign)](const Tensor& dy, GradSink& grad) {
      const auto flipped = [](auto v, auto w) { return v == 0 ? 0 : std::signbit(v) == std::signbit(w) ? 1 : -1; };
      add_share(grad, 0, dy, flipped, p.get(grad), q.get(grad));
      add_share(
          grad, 1, dy, [](auto) { return 0; }, q.get(grad));
    });
  }
  return y;
}

Tensor copysign(const Tensor& magnitude, double sign) {
  return copysign(magnitude, floating_operand(magnitude, sign, "copysign"));
}

Tensor xlogy(const Tensor& x, const Tensor& y) {
  const auto f = [](auto p, auto q) { return p == 0 && !std::isnan(q) ? decltype(p)(0) : p * std::log(q); };
  return binary(
      "xlogy", x, y, f,
      [](const Tensor& p, const Tensor& q, const Tensor&) {
        return zero_where([](auto v, auto w) { return v == 0 && w <= 0; }, p, q, log(q));
      },
      [](const Tensor& p, const Tensor& q, const Tensor&) { return div(p, q); });
}

}  // namespace qing
