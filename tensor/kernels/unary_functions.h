// The functions of one number that have a vector form: f and its derivative df, each stated once. V is a vector of
// numbers: Vec<T> in the kernels of an ISA, and in autograd a tensor whose operations are differentiable, so that df
// also gives derivatives of df. The operations on V (fma, exp, select, ...) are found beside V. Every function here is
// a template on V, so that an ISA's code stays in its translation unit.
//
// A function that is added here, to the enumeration and as a Function, has loops on every ISA, a name among the
// differentiable operations, and derivatives of every order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qing::kernels {

/// Parameters in parentheses are the elements of `p` below.
///
/// The largest error, in units in the last place (ulp) of the exact result, f32 / f64 where they differ; denormal
/// results are 0. tests/tensor/accuracy_test.cpp measures it on every ISA. What is not listed is exact or rounds once.
///   rsqrt 1.5; exp 1.1; expm1 1.8; log 0.8; tanh 2 (2.01 without
///   fused multiply-add); sigmoid 2.2; log_sigmoid 2.8; silu 2.2; mish 4; softsign 1.5;
///   gelu 7 / 4 (70 / 150 in the left tail without fused multiply-add); gelu_tanh 100 in the left tail, where the
///   rounding of its argument u is multiplied by |u|; softplus 2.5; elu 1.1; hardsigmoid 1; hardswish 2;
///   tanhshrink 2 ulp of x; ndtr as gelu.
/// Derivatives, in ulp of 1, since they cancel somewhere: tanh 2; sigmoid 1; silu 10 / 20; mish 12 / 25; gelu 2;
/// gelu_tanh 20 / 50.
enum class Unary : uint8_t {
  neg,
  abs,
  sign,
  sqrt,
  rsqrt,
  square,
  reciprocal,
  exp,
  expm1,
  log,
  floor,
  ceil,
  round,
  trunc,
  frac,
  tanh,
  sigmoid,
  log_sigmoid,
  silu,
  mish,
  softsign,
  tanhshrink,
  gelu,
  gelu_tanh,
  ndtr,
  relu,
  hardsigmoid,
  hardswish,
  softplus,    // (beta, threshold)
  leaky_relu,  // (slope)
  elu,  // (alpha, scale, input scale): scale·(x > 0 ? x : alpha·(e^{input scale·x} − 1)); also selu and celu
  softshrink,  // (lambda)
  hardshrink,  // (lambda)
  threshold,   // (threshold, value)
  clamp,       // (low, high, missing: −1 low, 1 high, else 0); derivative 0 at the bounds and for NaN
  hardtanh,    // (low, high); derivative 0 at the bounds, 1 for NaN
  count
};

inline constexpr size_t kUnaryParameters = 3;

/// What a derivative is computed from. Backward keeps only that.
enum class Uses : uint8_t { nothing, input, output, both };

/// The function `op`: its name as a differentiable operation, f(x, p), and df(x, y, p) of x and y = f(x) with the
/// parameters p. df reads of x and y what `uses` says. At points without a derivative df is PyTorch's choice.
template <Unary op> struct Function;

struct OfNothing {
  static constexpr Uses uses = Uses::nothing;
};
struct OfInput {
  static constexpr Uses uses = Uses::input;
};
struct OfOutput {
  static constexpr Uses uses = Uses::output;
};

/// b where a > 0, else c; NaN counts as not above 0.
template <class V> inline V if_positive(V a, V b, V c) { return select(less(V::set1(0), a), b, c); }
/// NaN where x is, else y.
template <class V> inline V unless_nan(V x, V y) { return select(is_nan(x), x, y); }
/// 0 where a ≤ b, else 1.
template <class V> inline V above(V a, V b) {
  const V one = V::set1(1);
  return select(less(b, a), one, select(is_nan(a), one, select(is_nan(b), one, V::set1(0))));
}

/// 2·√(2/π)·(x + 0.044715·x³), the argument of which gelu's tanh form takes the sigmoid, and its derivative.
template <class V> inline V gelu_argument(V x) { return x * 1.5957691216057308 * (1 + x * x * 0.044715); }
template <class V> inline V gelu_argument_slope(V x) { return (1 + x * x * (3 * 0.044715)) * 1.5957691216057308; }

template <> struct Function<Unary::neg> : OfNothing {
  static constexpr const char* name = "neg";
  template <class V> static V f(V x, const auto*) { return -x; }
  template <class V> static V df(V, V, const auto*) { return V::set1(-1); }
};
template <> struct Function<Unary::sign> : OfNothing {
  static constexpr const char* name = "sign";
  template <class V> static V f(V x, const auto*) {
    const V zero = V::set1(0);
    return if_positive(x, V::set1(1), select(less(x, zero), V::set1(-1), zero));
  }
  template <class V> static V df(V, V, const auto*) { return V::set1(0); }
};
template <> struct Function<Unary::abs> : OfInput {
  static constexpr const char* name = "abs";
  template <class V> static V f(V x, const auto*) { return abs(x); }
  template <class V> static V df(V x, V, const auto* p) { return Function<Unary::sign>::f(x, p); }
};
template <> struct Function<Unary::sqrt> : OfOutput {
  static constexpr const char* name = "sqrt";
  template <class V> static V f(V x, const auto*) { return sqrt(x); }
  template <class V> static V df(V, V y, const auto*) { return 0.5 / y; }
};
template <> struct Function<Unary::rsqrt> : OfOutput {
  static constexpr const char* name = "rsqrt";
  template <class V> static V f(V x, const auto*) { return 1 / sqrt(x); }
  template <class V> static V df(V, V y, const auto*) { return y * y * y * -0.5; }
};
template <> struct Function<Unary::square> : OfInput {
  static constexpr const char* name = "square";
  template <class V> static V f(V x, const auto*) { return x * x; }
  template <class V> static V df(V x, V, const auto*) { return x + x; }
};
template <> struct Function<Unary::reciprocal> : OfOutput {
  static constexpr const char* name = "reciprocal";
  template <class V> static V f(V x, const auto*) { return 1 / x; }
  template <class V> static V df(V, V y, const auto*) { return -(y * y); }
};
template <> struct Function<Unary::exp> : OfOutput {
  static constexpr const char* name = "exp";
  template <class V> static V f(V x, const auto*) { return exp(x); }
  template <class V> static V df(V, V y, const auto*) { return y; }
};
template <> struct Function<Unary::expm1> : OfOutput {
  static constexpr const char* name = "expm1";
  template <class V> static V f(V x, const auto*) { return expm1(x); }
  template <class V> static V df(V, V y, const auto*) { return y + 1; }
};
template <> struct Function<Unary::log> : OfInput {
  static constexpr const char* name = "log";
  template <class V> static V f(V x, const auto*) { return log(x); }
  template <class V> static V df(V x, V, const auto*) { return 1 / x; }
};

struct StepFunction : OfNothing {
  template <class V> static V df(V, V, const auto*) { return V::set1(0); }
};
template <> struct Function<Unary::floor> : StepFunction {
  static constexpr const char* name = "floor";
  template <class V> static V f(V x, const auto*) { return floor(x); }
};
template <> struct Function<Unary::ceil> : StepFunction {
  static constexpr const char* name = "ceil";
  template <class V> static V f(V x, const auto*) { return ceil(x); }
};
template <> struct Function<Unary::round> : StepFunction {
  static constexpr const char* name = "round";
  template <class V> static V f(V x, const auto*) { return round_half_even(x); }
};
template <> struct Function<Unary::trunc> : StepFunction {
  static constexpr const char* name = "trunc";
  template <class V> static V f(V x, const auto*) { return trunc(x); }
};
template <> struct Function<Unary::frac> : OfNothing {
  static constexpr const char* name = "frac";
  template <class V> static V f(V x, const auto*) { return x - trunc(x); }
  template <class V> static V df(V, V, const auto*) { return V::set1(1); }
};

template <> struct Function<Unary::tanh> : OfOutput {
  static constexpr const char* name = "tanh";
  template <class V> static V f(V x, const auto*) { return tanh(x); }
  template <class V> static V df(V, V y, const auto*) { return 1 - y * y; }
};
template <> struct Function<Unary::sigmoid> : OfOutput {
  static constexpr const char* name = "sigmoid";
  template <class V> static V f(V x, const auto*) { return sigmoid(x); }
  template <class V> static V df(V, V y, const auto*) { return y * (1 - y); }
};
template <> struct Function<Unary::log_sigmoid> : OfInput {
  static constexpr const char* name = "log_sigmoid";
  template <class V> static V f(V x, const auto*) {
    return min(V::set1(0), x) - log1p_of_fraction(exp(-abs(x)));  // min(x, 0) − ln(1 + e^−|x|)
  }
  template <class V> static V df(V x, V, const auto*) { return sigmoid(-x); }
};
template <> struct Function<Unary::silu> : OfInput {
  static constexpr const char* name = "silu";
  template <class V> static V f(V x, const auto*) { return x / (1 + exp(-x)); }
  template <class V> static V df(V x, V, const auto*) {
    const V s = sigmoid(x);
    return s * (1 + x * (1 - s));
  }
};
template <> struct Function<Unary::mish> : OfInput {  // Misra 2019
  static constexpr const char* name = "mish";
  template <class V> static V f(V x, const auto*) { return x * tanh_of_softplus(x); }
  template <class V> static V df(V x, V, const auto*) {
    const V t = tanh_of_softplus(x);
    return t + x * sigmoid(x) * (1 - t * t);
  }
};
template <> struct Function<Unary::softsign> : OfInput {
  static constexpr const char* name = "softsign";
  template <class V> static V f(V x, const auto*) { return x / (1 + abs(x)); }
  template <class V> static V df(V x, V, const auto*) {
    const V d = 1 + abs(x);
    return 1 / (d * d);
  }
};
template <> struct Function<Unary::tanhshrink> : OfInput {
  static constexpr const char* name = "tanhshrink";
  template <class V> static V f(V x, const auto*) { return x - tanh(x); }
  template <class V> static V df(V x, V, const auto*) {
    const V t = tanh(x);
    return t * t;
  }
};
template <> struct Function<Unary::gelu> : OfInput {
  static constexpr const char* name = "gelu";
  template <class V> static V f(V x, const auto*) { return x * normal(x).cumulative; }
  template <class V> static V df(V x, V, const auto*) {
    const auto d = normal(x);
    return fma(x, d.density, d.cumulative);
  }
};
template <> struct Function<Unary::ndtr> : OfInput {
  static constexpr const char* name = "ndtr";
  template <class V> static V f(V x, const auto*) { return normal(x).cumulative; }
  template <class V> static V df(V x, V, const auto*) { return normal(x).density; }
};
// 0.5·x·(1 + tanh u) = x·sigmoid(2u) (Hendrycks & Gimpel 2016), which does not cancel in the left tail.
template <> struct Function<Unary::gelu_tanh> : OfInput {
  static constexpr const char* name = "gelu";
  template <class V> static V f(V x, const auto*) { return x * sigmoid(gelu_argument(x)); }
  template <class V> static V df(V x, V, const auto*) {
    const V s = sigmoid(gelu_argument(x));
    return s + x * s * (1 - s) * gelu_argument_slope(x);
  }
};
template <> struct Function<Unary::softplus> : OfInput {  // ln(1 + e^{beta·x})/beta, x above threshold
  static constexpr const char* name = "softplus";
  template <class V> static V f(V x, const auto* p) {
    const V z = x * p[0];
    return select(less(V::set1(p[1]), z), x, log_of_one_plus_exp(z) / V::set1(p[0]));
  }
  template <class V> static V df(V x, V, const auto* p) {
    const V z = x * p[0];
    return select(less(V::set1(p[1]), z), V::set1(1), sigmoid(z));
  }
};

template <> struct Function<Unary::relu> : OfInput {
  static constexpr const char* name = "relu";
  template <class V> static V f(V x, const auto*) { return max(V::set1(0), x); }  // NaN stays
  template <class V> static V df(V x, V, const auto*) { return above(x, V::set1(0)); }
};
template <> struct Function<Unary::leaky_relu> : OfInput {
  static constexpr const char* name = "leaky_relu";
  template <class V> static V f(V x, const auto* p) { return if_positive(x, x, x * p[0]); }
  template <class V> static V df(V x, V, const auto* p) { return if_positive(x, V::set1(1), V::set1(p[0])); }
};
template <> struct Function<Unary::elu> : OfInput {
  static constexpr const char* name = "elu";
  template <class V> static V f(V x, const auto* p) {
    return if_positive(x, x * p[1], expm1(x * p[2]) * (p[0] * p[1]));
  }
  template <class V> static V df(V x, V, const auto* p) {
    // For x > 0 the exponential could be infinite, and its own gradient NaN.
    return if_positive(x, V::set1(p[1]), exp(min(V::set1(0), x) * p[2]) * (p[0] * p[1] * p[2]));
  }
};
template <> struct Function<Unary::hardsigmoid> : OfInput {
  static constexpr const char* name = "hardsigmoid";
  template <class V> static V f(V x, const auto*) { return min(V::set1(6), max(V::set1(0), x + 3)) / V::set1(6); }
  template <class V> static V df(V x, V, const auto*) {
    const V zero = V::set1(0);
    return select(less(abs(x), V::set1(3)), 1 / V::set1(6), zero);
  }
};
template <> struct Function<Unary::hardswish> : OfInput {
  static constexpr const char* name = "hardswish";
  template <class V> static V f(V x, const auto* p) { return x * Function<Unary::hardsigmoid>::f(x, p); }
  template <class V> static V df(V x, V, const auto*) {
    const V three = V::set1(3), inside = x / three + 0.5;
    return select(less(x, three), select(less(-three, x), inside, V::set1(0)), V::set1(1));  // 1 for NaN
  }
};
template <> struct Function<Unary::hardshrink> : OfInput {
  static constexpr const char* name = "hardshrink";
  template <class V> static V f(V x, const auto* p) {
    return select(less(V::set1(p[0]), abs(x)), x, unless_nan(x, V::set1(0)));
  }
  template <class V> static V df(V x, V, const auto* p) { return above(abs(x), V::set1(p[0])); }
};
template <> struct Function<Unary::softshrink> : OfInput {
  static constexpr const char* name = "softshrink";
  template <class V> static V f(V x, const auto* p) {
    const V l = V::set1(p[0]), zero = unless_nan(x, V::set1(0));
    return select(less(l, x), x - l, select(less(x, -l), x + l, zero));
  }
  template <class V> static V df(V x, V y, const auto* p) { return Function<Unary::hardshrink>::df(x, y, p); }
};
template <> struct Function<Unary::threshold> : OfInput {
  static constexpr const char* name = "threshold";
  template <class V> static V f(V x, const auto* p) {
    return select(less(V::set1(p[0]), x), x, unless_nan(x, V::set1(p[1])));
  }
  template <class V> static V df(V x, V, const auto* p) { return above(x, V::set1(p[0])); }
};
template <> struct Function<Unary::clamp> : OfInput {
  static constexpr const char* name = "clamp";
  template <class V> static V f(V x, const auto* p) { return min(V::set1(p[1]), max(V::set1(p[0]), x)); }  // NaN stays
  template <class V> static V df(V x, V, const auto* p) {  // 0 at the bounds and for NaN
    const V at_low = V::set1(p[2] < 0 ? 1 : 0), at_high = V::set1(p[2] > 0 ? 1 : 0), one = V::set1(1);
    return select(less(V::set1(p[0]), x), one, at_low) * select(less(x, V::set1(p[1])), one, at_high);
  }
};
template <> struct Function<Unary::hardtanh> : OfInput {
  static constexpr const char* name = "hardtanh";
  template <class V> static V f(V x, const auto* p) { return Function<Unary::clamp>::f(x, p); }
  template <class V> static V df(V x, V, const auto* p) {  // 0 at the bounds, 1 for NaN
    return above(x, V::set1(p[0])) * above(V::set1(p[1]), x);
  }
};

}  // namespace qing::kernels
