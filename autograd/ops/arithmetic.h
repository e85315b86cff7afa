// Arithmetic, elementwise with NumPy's broadcasting, on tensors of any strides; none is copied. Results are contiguous.
// Both operands have one dtype, f32 or f64, or for add, sub and mul an integer one, where overflow wraps (DTypeError),
// and shapes that broadcast (ShapeError). A number stands for a tensor of the other operand's dtype that holds it
// everywhere. Beside integers it must be one (DTypeError), and may be out of their range: the result wraps. Elements
// are rounded once (IEEE 754), denormal ones to 0.
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

// x += y is x = x + y: the handle gets a new tensor, in the graph like any other; other handles and views keep the old
// elements. So it is safe on what backward has saved, and on leaves. Writing in place is what the members of Tensor do.
inline Tensor& operator+=(Tensor& x, const Tensor& y) { return x = x + y; }
inline Tensor& operator+=(Tensor& x, Scalar y) { return x = x + y; }
inline Tensor& operator-=(Tensor& x, const Tensor& y) { return x = x - y; }
inline Tensor& operator-=(Tensor& x, Scalar y) { return x = x - y; }
inline Tensor& operator*=(Tensor& x, const Tensor& y) { return x = x * y; }
inline Tensor& operator*=(Tensor& x, Scalar y) { return x = x * y; }
inline Tensor& operator/=(Tensor& x, const Tensor& y) { return x = x / y; }
inline Tensor& operator/=(Tensor& x, Scalar y) { return x = x / y; }

/// PyTorch's fused forms: x + value·a·b, x + value·a/b.
Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);
/// a + weight·(b − a); exactly b where weight is 1.
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight);
Tensor lerp(const Tensor& a, const Tensor& b, double weight);

}  // namespace qing
