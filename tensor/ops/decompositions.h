// Factorizations of matrices and Fourier transforms, by Eigen. Tensors are f64 and contiguous, [batch, rows, columns]
// unless something else is said, and every matrix is treated by itself. Matrices of a batch are spread over threads.
// Callers check shapes.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

// A singular matrix is a ValueError that begins with `op` and names the matrix of the batch.
Tensor inverse_of(const Tensor& a, const char* op);
Tensor solution_of(const Tensor& a, const Tensor& b, const char* op);  ///< x of a·x = b
/// The same for a triangle of a; the other elements are not read. With `unit` the diagonal counts as ones.
Tensor triangular_solution_of(const Tensor& a, const Tensor& b, bool upper, bool unit);

/// Determinants as sign · exp(log_abs), [batch] each; 0 and −∞ for a singular matrix.
struct SignAndLog {
  Tensor sign, log_abs;
};
SignAndLog determinants_of(const Tensor& a);

/// L of L·Lᵀ = a, which reads the lower triangle. ValueError for a matrix that is not positive definite.
Tensor cholesky_of(const Tensor& a, const char* op);

/// Q [batch, m, k] and R [batch, k, n] with k = min(m, n), by Householder reflections.
struct QAndR {
  Tensor q, r;
};
QAndR qr_of(const Tensor& a);

/// Of symmetric matrices, whose lower triangle is read: eigenvalues [batch, n], which rise, and eigenvectors as
/// columns. ValueError when the iteration does not converge (NaN, infinity).
struct ValuesAndVectors {
  Tensor values, vectors;
};
ValuesAndVectors symmetric_eigen_of(const Tensor& a, const char* op);

/// U [batch, m, k], S [batch, k], which falls, and Vᵀ [batch, k, n]. ValueError when the iteration does not converge.
struct SingularValues {
  Tensor u, s, vt;
};
SingularValues singular_values_of(const Tensor& a, const char* op);

/// The discrete Fourier transform Σⱼ xⱼ·e^(∓2πi·jk/n) of complex numbers x [lanes, n, 2], with + for the inverse, which
/// is not divided by n. O(n log n) for n of small prime factors; a prime factor p costs O(n·p).
Tensor fourier_of(const Tensor& x, bool inverse);

}  // namespace qing
