#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>

#include <qing/tensor/errors.h>
#include <qing/tensor/ops/decompositions.h>
#include <qing/tensor/ops/matrix_batches_detail.h>

namespace qing {
namespace {

[[noreturn]] void fail_to_converge(const char* op, int64_t i) {
  throw ValueError(
      fmt::format("{}: no convergence for matrix {} of the batch; does it hold NaN or infinities?", op, i));
}

}  // namespace

ValuesAndVectors symmetric_eigen_of(const Tensor& a, const char* op) {
  ValuesAndVectors found{Tensor::empty({a.size(0), a.size(1)}, DType::f64), Tensor::empty(a.shape(), DType::f64)};
  over_matrices(a, [&](int64_t i) {
    if (!matrix_of(a, i).triangularView<Eigen::Lower>().toDenseMatrix().allFinite()) fail_to_converge(op, i);
    const Eigen::SelfAdjointEigenSolver<RowMatrix> solver(matrix_of(a, i));
    if (solver.info() != Eigen::Success) fail_to_converge(op, i);
    vector_of(found.values, i) = solver.eigenvalues();
    matrix_of(found.vectors, i) = solver.eigenvectors();
  });
  return found;
}

SingularValues singular_values_of(const Tensor& a, const char* op) {
  const int64_t m = a.size(1), n = a.size(2), k = std::min(m, n);
  SingularValues found{Tensor::empty({a.size(0), m, k}, DType::f64), Tensor::empty({a.size(0), k}, DType::f64),
                       Tensor::empty({a.size(0), k, n}, DType::f64)};
  over_matrices(a, [&](int64_t i) {
    if (!matrix_of(a, i).allFinite()) fail_to_converge(op, i);
    const Eigen::BDCSVD<RowMatrix> svd(matrix_of(a, i), Eigen::ComputeThinU | Eigen::ComputeThinV);
    if (svd.info() != Eigen::Success) fail_to_converge(op, i);
    matrix_of(found.u, i) = svd.matrixU();
    vector_of(found.s, i) = svd.singularValues();
    matrix_of(found.vt, i) = svd.matrixV().transpose();
  });
  return found;
}

}  // namespace qing
