#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>

#include <qing/tensor/errors.h>
#include <qing/tensor/ops/decompositions.h>
#include <qing/tensor/ops/matrix_batches_detail.h>

namespace qing {
namespace {

using batches::Matrix;
using batches::matrix;
using batches::over_matrices;
using batches::vector;

[[noreturn]] void fail_to_converge(const char* op, int64_t i) {
  throw ValueError(
      fmt::format("{}: no convergence for matrix {} of the batch; does it hold NaN or infinities?", op, i));
}

}  // namespace

ValuesAndVectors symmetric_eigen_of(const Tensor& a, const char* op) {
  ValuesAndVectors found{Tensor::empty({a.size(0), a.size(1)}, DType::f64), Tensor::empty(a.shape(), DType::f64)};
  over_matrices(a, [&](int64_t i) {
    if (!matrix(a, i).triangularView<Eigen::Lower>().toDenseMatrix().allFinite()) fail_to_converge(op, i);
    const Eigen::SelfAdjointEigenSolver<Matrix> solver(matrix(a, i));
    if (solver.info() != Eigen::Success) fail_to_converge(op, i);
    vector(found.values, i) = solver.eigenvalues();
    matrix(found.vectors, i) = solver.eigenvectors();
  });
  return found;
}

SingularValues singular_values_of(const Tensor& a, const char* op) {
  const int64_t m = a.size(1), n = a.size(2), k = std::min(m, n);
  SingularValues found{Tensor::empty({a.size(0), m, k}, DType::f64), Tensor::empty({a.size(0), k}, DType::f64),
                       Tensor::empty({a.size(0), k, n}, DType::f64)};
  over_matrices(a, [&](int64_t i) {
    if (!matrix(a, i).allFinite()) fail_to_converge(op, i);
    const Eigen::BDCSVD<Matrix> svd(matrix(a, i), Eigen::ComputeThinU | Eigen::ComputeThinV);
    if (svd.info() != Eigen::Success) fail_to_converge(op, i);
    matrix(found.u, i) = svd.matrixU();
    vector(found.s, i) = svd.singularValues();
    matrix(found.vt, i) = svd.matrixV().transpose();
  });
  return found;
}

}  // namespace qing
