// Comparisons and logic with NumPy's broadcasting (ShapeError). Results are bool, outside the graph. Any dtype, the
// same for both operands (DTypeError). Denormal numbers differ from zero.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);

// For a floating tensor a number is rounded to its dtype first, as in PyTorch. Integers are compared with the number
// itself: 2 < 2.5 < 3, and every u8 is less than 300.
Tensor eq(const Tensor& a, Scalar b);
Tensor ne(const Tensor& a, Scalar b);
Tensor lt(const Tensor& a, Scalar b);
Tensor le(const Tensor& a, Scalar b);
Tensor gt(const Tensor& a, Scalar b);
Tensor ge(const Tensor& a, Scalar b);

// Every element but 0 is true, NaN too.
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
Tensor logical_not(const Tensor& x);

Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);
Tensor isfinite(const Tensor& x);

/// a == b, or |a − b| ≤ atol + rtol·|b| and finite, computed in f64.
Tensor isclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
/// Whether isclose holds for all elements.
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
/// Whether the shapes are the same and all values equal. NaN equals nothing; −0 equals 0. DTypeError if the dtypes
/// differ.
bool equal(const Tensor& a, const Tensor& b);
/// Whether dtype, shape and bits are the same.
bool identical(const Tensor& a, const Tensor& b);

}  // namespace qing
