// Arithmetic, elementwise with NumPy's broadcasting, on tensors of any strides; operands are not copied. Results are
// contiguous. Both operands have one dtype (DTypeError) and shapes that broadcast (ShapeError). The dtype is f32 or
// f64; add, sub and mul also take integers, which wrap on overflow. A number stands for a tensor of the other operand's
// dtype with that value everywhere. With an integer tensor the number must be an integer (DTypeError), but may be out
// of the dtype's range: the result wraps. Elements are rounded once (IEEE 754); denormal results become 0.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

Tensor add(const Tensor& a, const Tensor& b);
Tensor add(const Tensor& a, Scalar b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, Scalar b);
Tensor sub(Scalar a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, Scalar b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, Scalar b);
Tensor div(Scalar a, const Tensor& b);
inline Tensor scale(const Tensor& x, Scalar factor) { return mul(x, factor); }
Tensor neg(const Tensor& x);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator+(const Tensor& a, Scalar b) { return add(a, b); }
inline Tensor operator+(Scalar a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator-(const Tensor& a, Scalar b) { return sub(a, b); }
inline Tensor operator-(Scalar a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator*(const Tensor& a, Scalar b) { return mul(a, b); }
inline Tensor operator*(Scalar a, const Tensor& b) { return mul(b, a); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator/(const Tensor& a, Scalar b) { return div(a, b); }
inline Tensor operator/(Scalar a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }

// x += y is x = x + y: the handle gets a new tensor, recorded like any other. Other handles and views keep the old
// elements, so this is safe on leaves and on tensors that backward has saved. The members of Tensor write in place.
inline Tensor& operator+=(Tensor& x, const Tensor& y) { return x = x + y; }
inline Tensor& operator+=(Tensor& x, Scalar y) { return x = x + y; }
inline Tensor& operator-=(Tensor& x, const Tensor& y) { return x = x - y; }
inline Tensor& operator-=(Tensor& x, Scalar y) { return x = x - y; }
inline Tensor& operator*=(Tensor& x, const Tensor& y) { return x = x * y; }
inline Tensor& operator*=(Tensor& x, Scalar y) { return x = x * y; }
inline Tensor& operator/=(Tensor& x, const Tensor& y) { return x = x / y; }
inline Tensor& operator/=(Tensor& x, Scalar y) { return x = x / y; }

/// x + value·a·b. addcdiv: x + value·a/b. Both broadcast.
Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);
/// a + weight·(b − a). Exactly b where weight is 1.
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight);
Tensor lerp(const Tensor& a, const Tensor& b, double weight);

}  // namespace qing
