// Functions of one or two elements that have a vector form, and the loops over them that every ISA provides.
// pointwise.inl states formulas and derivatives.
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
///   tanhshrink 2 ulp of x.
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
enum class Binary : uint8_t { add, sub, mul, div, maximum, minimum, count };

inline constexpr size_t kUnaryParameters = 3;

/// The loops of one function of one element, on contiguous rows. y and dx may be an input.
template <class T> struct UnaryLoops {
  /// y = f(x)
  void (*forward)(int64_t n, const T* x, T* y, const T* p);
  /// dx = dy·f'(x), or dx += if accumulate. A derivative that depends only on x does not read the values of y, which
  /// may then be any n numbers. The same holds for one that depends only on y.
  void (*backward)(int64_t n, const T* x, const T* y, const T* dy, T* dx, bool accumulate, const T* p);
};

/// y[i] = f(a[i·step_a], b[i·step_b]); steps 0 or 1. y may be an operand of step 1.
template <class T> using BinaryLoop = void (*)(int64_t n, const T* a, int64_t step_a, const T* b, int64_t step_b, T* y);

}  // namespace qing::kernels
