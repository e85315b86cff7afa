// Elementwise selection between operands, with NumPy's broadcasting (ShapeError), on tensors of any strides. Results
// are contiguous. f32 or f64, all of one dtype (DTypeError), unless stated otherwise.
#pragma once

#include <limits>
#include <optional>

#include <qing/tensor/tensor.h>

namespace qing {

/// a where condition (bool: DTypeError) is true, else b. All three broadcast. a and b have the same dtype, any.
/// ValueError if that dtype does not hold a given number.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, Scalar b);
Tensor where(const Tensor& condition, Scalar a, const Tensor& b);
/// `value` where mask (bool) is true, else x. Any dtype; errors as where.
Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);

/// The larger element; NaN if either is NaN. Equal elements get half of the gradient each.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
/// The larger element; NaN only if both are NaN.
Tensor fmax(const Tensor& a, const Tensor& b);
Tensor fmin(const Tensor& a, const Tensor& b);

/// min(max(x, low), high), so high where low > high. NaN stays NaN. The gradient is 1 strictly between the bounds, and
/// 0 at them, outside and for NaN, as in PyTorch. ValueError if no bound is given or one is NaN.
Tensor clamp(const Tensor& x, std::optional<double> low, std::optional<double> high = std::nullopt);
/// clamp with tensors as bounds; an undefined one means none. NaN where any operand is NaN. A bound gets the gradient
/// where the result is that bound alone, and half of it where x equals the bound. With one bound this is maximum or
/// minimum.
Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high);
Tensor clamp_min(const Tensor& x, double low);
Tensor clamp_min(const Tensor& x, const Tensor& low);
Tensor clamp_max(const Tensor& x, double high);
Tensor clamp_max(const Tensor& x, const Tensor& high);

/// Replaces NaN by `nan`, and infinities by posinf and neginf, or by the dtype's largest and smallest numbers. The
/// gradient of replaced elements is 0.
Tensor nan_to_num(const Tensor& x, double nan = 0, std::optional<double> posinf = std::nullopt,
                  std::optional<double> neginf = std::nullopt);
/// 0 where x < 0, 1 where x > 0, `values` where x is 0, NaN where x is NaN. `values` gets the gradient where x is 0.
Tensor heaviside(const Tensor& x, const Tensor& values);

}  // namespace qing
