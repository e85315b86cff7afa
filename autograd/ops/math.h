// Functions of one number, elementwise on tensors of any strides. Results are contiguous, of x's shape and dtype. f32
// or f64 (DTypeError). NaN and infinities are treated as in the C library. The functions of
// tensor/kernels/unary_functions.h are vectorised; their accuracy is stated there. The others are the C library's,
// within one or two ulp.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

Tensor abs(const Tensor& x);   ///< derivative 0 at 0
Tensor sign(const Tensor& x);  ///< −1, 0 or 1; 0 for NaN
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);       ///< 1/√x
Tensor reciprocal(const Tensor& x);  ///< 1/x

Tensor exp(const Tensor& x);
Tensor exp2(const Tensor& x);
Tensor expm1(const Tensor& x);  ///< e^x − 1
Tensor log(const Tensor& x);
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor log1p(const Tensor& x);  ///< ln(1 + x)

Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor erfc(const Tensor& x);
Tensor ndtr(const Tensor& x);  ///< Φ(x), the probability that a standard normal variable is at most x
Tensor sinc(const Tensor& x);  ///< sin(πx)/(πx), 1 at 0

// The gradient of these is 0, except that of frac, which is 1.
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor round(const Tensor& x);  ///< to the nearest integer, halves to the even one
Tensor trunc(const Tensor& x);
Tensor frac(const Tensor& x);  ///< x − trunc(x)

}  // namespace qing
