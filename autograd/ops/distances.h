// Norms, angles and distances of vectors. f32 or f64 (DTypeError). Differentiable any number of times.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// x / max(‖x‖ₚ, eps), the norm taken along `dim`: vectors of norm 1, of x's shape. IndexError if `dim` is out of
/// range.
Tensor normalize(const Tensor& x, double p = 2, int64_t dim = 1, double eps = 1e-12);
/// x1·x2 / (max(‖x1‖, eps)·max(‖x2‖, eps)) along `dim` of the shape that x1 and x2 broadcast to (ShapeError). The
/// result lacks `dim`. IndexError if it is out of range.
Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, int64_t dim = 1, double eps = 1e-8);
/// ‖x1 − x2 + eps‖ₚ over the last dimension. x1 and x2 broadcast (ShapeError).
Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p = 2, double eps = 1e-6, bool keepdim = false);
/// ‖x1[i] − x2[j]‖ₚ for all rows i and j: x1 [..., m, width] and x2 [..., n, width] give [..., m, n]. Leading
/// dimensions broadcast (ShapeError). All differences are kept, m·n·width numbers. The gradient is 0 where rows are
/// equal.
Tensor cdist(const Tensor& x1, const Tensor& x2, double p = 2);

}  // namespace qing
