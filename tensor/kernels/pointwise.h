// The loops over functions of one or two numbers that every ISA provides. unary_functions.h states those of one.
#pragma once

#include <cstddef>
#include <cstdint>

#include <qing/tensor/kernels/unary_functions.h>

namespace qing::kernels {

enum class Binary : uint8_t { add, sub, mul, div, maximum, minimum, count };

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
