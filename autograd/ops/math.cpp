// Functions of one number; see pointwise_detail.h.
#include <qing/autograd/ops/math.h>

#include <cmath>
#include <numbers>

#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/autograd/ops/selection.h>

namespace qing {

Tensor abs(const Tensor& x) { return unary<Unary::abs>(x); }

Tensor sign(const Tensor& x) { return unary<Unary::sign>(x); }

Tensor square(const Tensor& x) { return unary<Unary::square>(x); }

Tensor sqrt(const Tensor& x) { return unary<Unary::sqrt>(x); }

Tensor rsqrt(const Tensor& x) { return unary<Unary::rsqrt>(x); }

Tensor reciprocal(const Tensor& x) { return unary<Unary::reciprocal>(x); }

Tensor exp(const Tensor& x) { return unary<Unary::exp>(x); }

Tensor exp2(const Tensor& x) {
  return unary({"exp2", Loops([](auto v) { return std::exp2(v); }, [](auto, auto y) { return y * std::numbers::ln2; }),
                Uses::output, [](const Tensor&, const Tensor& y) { return mul(y, std::numbers::ln2); }},
               x);
}

Tensor expm1(const Tensor& x) { return unary<Unary::expm1>(x); }

Tensor log(const Tensor& x) { return unary<Unary::log>(x); }

Tensor log2(const Tensor& x) {
  return unary(
      {"log2", Loops([](auto v) { return std::log2(v); }, [](auto v, auto) { return 1 / (v * std::numbers::ln2); }),
       Uses::input, [](const Tensor& x, const Tensor&) { return div(1 / std::numbers::ln2, x); }},
      x);
}

Tensor log10(const Tensor& x) {
  return unary(
      {"log10", Loops([](auto v) { return std::log10(v); }, [](auto v, auto) { return 1 / (v * std::numbers::ln10); }),
       Uses::input, [](const Tensor& x, const Tensor&) { return div(1 / std::numbers::ln10, x); }},
      x);
}

Tensor log1p(const Tensor& x) {
  return unary({"log1p", Loops([](auto v) { return std::log1p(v); }, [](auto v, auto) { return 1 / (1 + v); }),
                Uses::input, [](const Tensor& x, const Tensor&) { return reciprocal(add(x, 1)); }},
               x);
}

Tensor sin(const Tensor& x) {
  return unary({"sin", Loops([](auto v) { return std::sin(v); }, [](auto v, auto) { return std::cos(v); }), Uses::input,
                [](const Tensor& x, const Tensor&) { return cos(x); }},
               x);
}

Tensor cos(const Tensor& x) {
  return unary({"cos", Loops([](auto v) { return std::cos(v); }, [](auto v, auto) { return -std::sin(v); }),
                Uses::input, [](const Tensor& x, const Tensor&) { return neg(sin(x)); }},
               x);
}

Tensor tan(const Tensor& x) {
  return unary({"tan", Loops([](auto v) { return std::tan(v); }, [](auto, auto y) { return 1 + y * y; }), Uses::output,
                [](const Tensor&, const Tensor& y) { return add(square(y), 1); }},
               x);
}

Tensor asin(const Tensor& x) {
  return unary(
      {"asin", Loops([](auto v) { return std::asin(v); }, [](auto v, auto) { return 1 / std::sqrt(1 - v * v); }),
       Uses::input, [](const Tensor& x, const Tensor&) { return rsqrt(sub(1, square(x))); }},
      x);
}

Tensor acos(const Tensor& x) {
  return unary(
      {"acos", Loops([](auto v) { return std::acos(v); }, [](auto v, auto) { return -1 / std::sqrt(1 - v * v); }),
       Uses::input, [](const Tensor& x, const Tensor&) { return neg(rsqrt(sub(1, square(x)))); }},
      x);
}

Tensor atan(const Tensor& x) {
  return unary({"atan", Loops([](auto v) { return std::atan(v); }, [](auto v, auto) { return 1 / (1 + v * v); }),
                Uses::input, [](const Tensor& x, const Tensor&) { return reciprocal(add(square(x), 1)); }},
               x);
}

Tensor sinh(const Tensor& x) {
  return unary({"sinh", Loops([](auto v) { return std::sinh(v); }, [](auto v, auto) { return std::cosh(v); }),
                Uses::input, [](const Tensor& x, const Tensor&) { return cosh(x); }},
               x);
}

Tensor cosh(const Tensor& x) {
  return unary({"cosh", Loops([](auto v) { return std::cosh(v); }, [](auto v, auto) { return std::sinh(v); }),
                Uses::input, [](const Tensor& x, const Tensor&) { return sinh(x); }},
               x);
}

Tensor tanh(const Tensor& x) { return unary<Unary::tanh>(x); }

Tensor asinh(const Tensor& x) {
  return unary(
      {"asinh", Loops([](auto v) { return std::asinh(v); }, [](auto v, auto) { return 1 / std::sqrt(v * v + 1); }),
       Uses::input, [](const Tensor& x, const Tensor&) { return rsqrt(add(square(x), 1)); }},
      x);
}

Tensor acosh(const Tensor& x) {
  return unary(
      {"acosh", Loops([](auto v) { return std::acosh(v); }, [](auto v, auto) { return 1 / std::sqrt(v * v - 1); }),
       Uses::input, [](const Tensor& x, const Tensor&) { return rsqrt(sub(square(x), 1)); }},
      x);
}

Tensor atanh(const Tensor& x) {
  return unary({"atanh", Loops([](auto v) { return std::atanh(v); }, [](auto v, auto) { return 1 / (1 - v * v); }),
                Uses::input, [](const Tensor& x, const Tensor&) { return reciprocal(sub(1, square(x))); }},
               x);
}

namespace {

constexpr double kTwoOverRootPi = 2 * std::numbers::inv_sqrtpi;

Tensor bell(const Tensor& x) { return mul(exp(neg(square(x))), kTwoOverRootPi); }

}  // namespace

Tensor erf(const Tensor& x) {
  return unary(
      {"erf", Loops([](auto v) { return std::erf(v); }, [](auto v, auto) { return kTwoOverRootPi * std::exp(-v * v); }),
       Uses::input, [](const Tensor& x, const Tensor&) { return bell(x); }},
      x);
}

Tensor erfc(const Tensor& x) {
  return unary(
      {"erfc",
       Loops([](auto v) { return std::erfc(v); }, [](auto v, auto) { return -kTwoOverRootPi * std::exp(-v * v); }),
       Uses::input, [](const Tensor& x, const Tensor&) { return neg(bell(x)); }},
      x);
}

Tensor ndtr(const Tensor& x) { return unary<Unary::ndtr>(x); }

Tensor sinc(const Tensor& x) {
  constexpr double pi = std::numbers::pi;
  const auto f = [](auto v) { return v == 0 ? decltype(v)(1) : std::sin(decltype(v)(pi) * v) / (decltype(v)(pi) * v); };
  // (cos(πx) − sinc x)/x, and 0 at 0. It cancels near 0. There the series −π²x/3 + π⁴x³/30 is used; its error is of
  // order x⁵.
  constexpr auto near = [](auto v) { return std::abs(v) < (sizeof(v) == 4 ? 0.03 : 1e-3); };
  const auto df = [](auto v, auto y) {
    using T = decltype(v);
    if (decltype(near)()(v)) return v * T(-pi * pi / 3) + v * v * v * T(pi * pi * pi * pi / 30);
    return (std::cos(T(pi) * v) - y) / v;
  };
  // Near 0, x is replaced by 1, so that no quotient is NaN, and the slope is the series'.
  const auto slope = [](const Tensor& x, const Tensor& y) {
    const Tensor at_zero = map("sinc", decltype(near)(), x.alias());
    const Tensor series = mul(x, add(mul(square(x), pi * pi * pi * pi / 30), -pi * pi / 3));
    return where(at_zero, series, div(sub(cos(mul(x, pi)), y), where(at_zero, 1, x)));
  };
  return unary({"sinc", Loops(f, df), Uses::both, slope}, x);
}

Tensor floor(const Tensor& x) { return unary<Unary::floor>(x); }

Tensor ceil(const Tensor& x) { return unary<Unary::ceil>(x); }

Tensor round(const Tensor& x) { return unary<Unary::round>(x); }

Tensor trunc(const Tensor& x) { return unary<Unary::trunc>(x); }

Tensor frac(const Tensor& x) { return unary<Unary::frac>(x); }

}  // namespace qing
