// Linear algebra under the names of torch.linalg. Matrices are the last two dimensions; others are a batch. f32 or f64
// (DTypeError); f32 is computed in f64 and rounded once. ShapeError for tensors without matrices, and for other than
// square ones where those are needed. The gradients are exact; inv, solve, solve_triangular, det, slogdet, cholesky and
// the norms of sums are differentiable any number of times, the others once.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing::linalg {

Tensor inv(const Tensor& a);  ///< ValueError for a singular matrix.
/// x of a·x = b. b is [..., n, k], or [..., n] if its shape is that of a without the last dimension, or [n]. The
/// batches broadcast. ValueError for a singular matrix.
Tensor solve(const Tensor& a, const Tensor& b);
/// The same for the upper or lower triangle of a, whose other elements are not read; b is [..., n, k] with the batch of
/// a. With `unitriangular` the diagonal counts as ones. A 0 on the diagonal gives infinities.
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unitriangular = false);
/// The determinant. Its gradient needs the inverse: ValueError for a singular matrix in backward.
Tensor det(const Tensor& a);
/// sign·exp(logabsdet) is the determinant; 0 and −∞ for a singular matrix. The sign has no gradient.
struct SlogdetResult {
  Tensor sign, logabsdet;
};
SlogdetResult slogdet(const Tensor& a);
/// L of L·Lᵀ = a for a symmetric positive definite matrix (ValueError), of which the lower triangle is read. The
/// gradient is symmetric.
Tensor cholesky(const Tensor& a);

/// Q [..., m, k] of orthonormal columns and upper triangular R [..., k, n] with Q·R = a and k = min(m, n). The gradient
/// is for m ≥ n and a of full rank (ValueError in backward otherwise).
struct QrResult {
  Tensor q, r;
};
QrResult qr(const Tensor& a);
/// Eigenvalues [..., n], which rise, and orthonormal eigenvectors as columns [..., n, n] of a symmetric matrix, of
/// which the lower triangle is read. The signs of vectors are arbitrary. Their gradient is infinite for equal
/// eigenvalues. ValueError for elements that are not finite.
struct EighResult {
  Tensor eigenvalues, eigenvectors;
};
EighResult eigh(const Tensor& a);
Tensor eigvalsh(const Tensor& a);  ///< The eigenvalues of eigh().
/// a = U·diag(S)·Vh with k = min(m, n): U [..., m, k], S [..., k], which falls, Vh [..., k, n] (full_matrices=False).
/// The signs of vectors are arbitrary, and their gradient is infinite for equal singular values. ValueError for
/// elements that are not finite.
struct SvdResult {
  Tensor u, s, vh;
};
SvdResult svd(const Tensor& a);
Tensor svdvals(const Tensor& a);  ///< The singular values of svd().

/// Frobenius' norm, the sum of singular values, the largest or smallest sum of absolute values of a column (one) or a
/// row (inf), the largest or smallest singular value (two).
enum class MatrixNorm { fro, nuc, one, minus_one, two, minus_two, inf, minus_inf };
Tensor matrix_norm(const Tensor& a, MatrixNorm order = MatrixNorm::fro, bool keepdim = false);
/// aⁿ; the identity for 0, powers of the inverse below.
Tensor matrix_power(const Tensor& a, int64_t n);

}  // namespace qing::linalg
