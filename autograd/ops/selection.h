// Elementwise choices between operands, on tensors of any strides with NumPy's broadcasting; results are contiguous.
// f32 or f64, all of one dtype (DTypeError), unless said otherwise; shapes that broadcast (ShapeError).
#pragma once

#include <limits>
#include <optional>

#include <qing/tensor/tensor.h>

namespace qing {

/// a where condition (bool; DTypeError) is true, else b; all three broadcast. Any dtype, of a and b the same.
/// ValueError if it does not hold a number.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, Scalar b);
Tensor where(const Tensor& condition, Scalar a, const Tensor& b);
/// value where mask (bool) is true, else x.
Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);

/// The larger, NaN if either is; equal ones get half of the gradient each.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
/// The same, but NaN only if both are.
Tensor fmax(const Tensor& a, const Tensor& b);
Tensor fmin(const Tensor& a, const Tensor& b);

/// min(max(x, low), high): high where low > high; NaN stays. The gradient passes between the bounds, and is 0 at them,
/// outside and for NaN, as PyTorch's. ValueError if no bound is given or one is NaN.
Tensor clamp(const Tensor& x, std::optional<double> low, std::optional<double> high = std::nullopt);
/// Bounds as tensors, NaN where any operand is; an undefined one is none. A bound gets the gradient where it alone is
/// the result, and half of it where x meets it. With one bound this is maximum or minimum.
Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high);
Tensor clamp_min(const Tensor& x, double low);
Tensor clamp_min(const Tensor& x, const Tensor& low);
Tensor clamp_max(const Tensor& x, double high);
Tensor clamp_max(const Tensor& x, const Tensor& high);

/// nan for NaN, and these or the dtype's largest and smallest numbers for the infinities. Their gradient is 0.
Tensor nan_to_num(const Tensor& x, double nan = 0, std::optional<double> posinf = std::nullopt,
                  std::optional<double> neginf = std::nullopt);
/// 0 where x < 0, 1 where x > 0, values where x is 0 (which gets its gradient there), NaN where x is.
Tensor heaviside(const Tensor& x, const Tensor& values);

}  // namespace qing
