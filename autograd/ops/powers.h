// Powers, remainders and other functions of two numbers, elementwise on tensors of any strides with NumPy's
// broadcasting (ShapeError). Results are contiguous. Both operands are f32 or both f64 (DTypeError). Values at the
// edges of the domains are the C library's, gradients PyTorch's.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// base^exponent. The gradient of the base is 0 where the exponent is 0. The gradient of the exponent is 0 where the
/// base is 0 and the exponent at least 0.
Tensor pow(const Tensor& base, const Tensor& exponent);
Tensor pow(const Tensor& base, double exponent);
Tensor pow(double base, const Tensor& exponent);

/// a − b·trunc(a/b), exactly; has a's sign.
Tensor fmod(const Tensor& a, const Tensor& b);
Tensor fmod(const Tensor& a, double b);
/// a − b·floor(a/b), Python's %; has b's sign.
Tensor remainder(const Tensor& a, const Tensor& b);
Tensor remainder(const Tensor& a, double b);
/// floor(a/b), Python's //. The gradient is 0.
Tensor floor_divide(const Tensor& a, const Tensor& b);
Tensor floor_divide(const Tensor& a, double b);

Tensor atan2(const Tensor& y, const Tensor& x);      ///< The angle of (x, y); gradient 0 where x² + y² rounds to 0.
Tensor hypot(const Tensor& a, const Tensor& b);      ///< √(a² + b²) without overflow.
Tensor logaddexp(const Tensor& a, const Tensor& b);  ///< ln(e^a + e^b) without overflow.
Tensor copysign(const Tensor& magnitude, const Tensor& sign);
Tensor copysign(const Tensor& magnitude, double sign);
Tensor xlogy(const Tensor& x, const Tensor& y);  ///< x·ln y; 0 where x is 0, unless y is NaN.

}  // namespace qing
