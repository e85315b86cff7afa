// Arithmetic on integer tensors, without gradients: i32, i64, u8 and i8, the same for both operands (DTypeError), with
// NumPy's broadcasting (ShapeError). Overflow wraps.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

enum class IntegerBinary {
  add,
  sub,
  mul,
  floor_divide,  ///< rounds down, as Python's //; ValueError for division by 0
  remainder,     ///< has the divisor's sign, as Python's %; ValueError for division by 0
  bitwise_and,   ///< this and the next two take bool as well
  bitwise_or,
  bitwise_xor,
  left_shift,   ///< 0 if the count is at least the type's bits; ValueError for a negative count
  right_shift,  ///< arithmetic: fills with the sign
};

/// a ∘ b; errors begin with `name`.
Tensor integer_binary(IntegerBinary op, const Tensor& a, const Tensor& b, const char* name);

Tensor bitwise_and(const Tensor& a, const Tensor& b);
Tensor bitwise_or(const Tensor& a, const Tensor& b);
Tensor bitwise_xor(const Tensor& a, const Tensor& b);
Tensor bitwise_not(const Tensor& x);
Tensor bitwise_left_shift(const Tensor& a, const Tensor& b);
Tensor bitwise_right_shift(const Tensor& a, const Tensor& b);

}  // namespace qing
