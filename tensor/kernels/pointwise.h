// Functions of one or two elements that have a vector form, and the loops over them that every ISA provides. Their
// formulas, derivatives and accuracy stand in pointwise.inl.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qing::kernels {

/// Parameters in parentheses are the elements of `p` below.
enum class Unary : uint8_t {
  neg, abs, sign, sqrt, rsqrt, square, reciprocal, exp, expm1, log, floor, ceil, round, trunc, frac, tanh,
  sigmoid, log_sigmoid, silu, mish, softsign, tanhshrink, gelu, gelu_tanh, relu, hardsigmoid, hardswish,
  softplus,     // (beta, threshold)
  leaky_relu,   // (slope)
  elu,          // (alpha, scale, input scale): scale·(x > 0 ? x : alpha·(e^{input scale·x} − 1)); also selu and celu
  softshrink,   // (lambda)
  hardshrink,   // (lambda)
  threshold,    // (threshold, value)
  clamp,        // (low, high); derivative 0 at the bounds and for NaN
  hardtanh,     // (low, high); derivative 0 at the bounds, 1 for NaN
  count
};
enum class Binary : uint8_t { add, sub, mul, div, maximum, minimum, count };

inline constexpr size_t kUnaryParameters = 3;

/// The loops of one function of one element, on contiguous rows. y and dx may be an input.
template <class T>
struct UnaryLoops {
  /// y = f(x)
  void (*forward)(int64_t n, const T* x, T* y, const T* p);
  /// dx = dy·f'(x), or dx += that when accumulate. A derivative that follows from x alone does not look at y's values,
  /// nor one that follows from y at x's; they may then be any n numbers.
  void (*backward)(int64_t n, const T* x, const T* y, const T* dy, T* dx, bool accumulate, const T* p);
};

/// y[i] = f(a[i·step_a], b[i·step_b]); steps 0 or 1. y may be an operand of step 1.
template <class T>
using BinaryLoop = void (*)(int64_t n, const T* a, int64_t step_a, const T* b, int64_t step_b, T* y);

}  // namespace qing::kernels
