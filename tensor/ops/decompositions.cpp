#include <qing/tensor/ops/decompositions.h>

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>

#include <qing/tensor/errors.h>
#include <qing/tensor/ops/matrix_batches_detail.h>

namespace qing {
namespace {

using batches::Matrix;
using batches::matrix;
using batches::MatrixMap;
using batches::over_matrices;

Eigen::PartialPivLU<Matrix> invertible(const Tensor& a, int64_t i, const char* op) {
  Eigen::PartialPivLU<Matrix> lu(matrix(a, i));
  if ((lu.matrixLU().diagonal().array() == 0).any()) {
    throw ValueError(fmt::format("{}: matrix {} of the batch is singular", op, i));
  }
  return lu;
}

}  // namespace

Tensor inverse_of(const Tensor& a, const char* op) {
  Tensor y = Tensor::empty(a.shape(), DType::f64);
  over_matrices(a, [&](int64_t i) { matrix(y, i) = invertible(a, i, op).inverse(); });
  return y;
}

Tensor solution_of(const Tensor& a, const Tensor& b, const char* op) {
  Tensor x = Tensor::empty(b.shape(), DType::f64);
  over_matrices(a, [&](int64_t i) { matrix(x, i) = invertible(a, i, op).solve(matrix(b, i)); });
  return x;
}

Tensor triangular_solution_of(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  Tensor x = Tensor::empty(b.shape(), DType::f64);
  over_matrices(a, [&](int64_t i) {
    const MatrixMap left = matrix(a, i), right = matrix(b, i);
    MatrixMap out = matrix(x, i);
    if (upper && unit) {
      out = left.triangularView<Eigen::UnitUpper>().solve(right);
    } else if (upper) {
      out = left.triangularView<Eigen::Upper>().solve(right);
    } else if (unit) {
      out = left.triangularView<Eigen::UnitLower>().solve(right);
    } else {
      out = left.triangularView<Eigen::Lower>().solve(right);
    }
  });
  return x;
}

SignAndLog determinants_of(const Tensor& a) {
  // The determinant of an empty matrix is 1.
  SignAndLog found{Tensor::full({a.size(0)}, 1, DType::f64), Tensor::zeros({a.size(0)}, DType::f64)};
  over_matrices(a, [&](int64_t i) {
    const Eigen::PartialPivLU<Matrix> lu(matrix(a, i));
    double sign = static_cast<double>(lu.permutationP().determinant()), log_abs = 0;
    for (Eigen::Index d = 0; d < a.size(1); ++d) {
      const double pivot = lu.matrixLU()(d, d);
      sign *= pivot < 0 ? -1 : pivot > 0 ? 1 : pivot;  // 0 and NaN stay
      log_abs += std::log(std::abs(pivot));
    }
    found.sign.data<double>()[i] = sign;
    found.log_abs.data<double>()[i] = sign == 0 ? -std::numeric_limits<double>::infinity() : log_abs;
  });
  return found;
}

Tensor cholesky_of(const Tensor& a, const char* op) {
  Tensor y = Tensor::empty(a.shape(), DType::f64);
  over_matrices(a, [&](int64_t i) {
    const Eigen::LLT<Matrix> llt(matrix(a, i));
    if (llt.info() != Eigen::Success) {
      throw ValueError(fmt::format("{}: matrix {} of the batch is not positive definite", op, i));
    }
    matrix(y, i) = llt.matrixL();
  });
  return y;
}

QAndR qr_of(const Tensor& a) {
  const int64_t m = a.size(1), n = a.size(2), k = std::min(m, n);
  QAndR found{Tensor::zeros({a.size(0), m, k}, DType::f64), Tensor::zeros({a.size(0), k, n}, DType::f64)};
  over_matrices(a, [&](int64_t i) {
    const Eigen::HouseholderQR<Matrix> qr(matrix(a, i));
    matrix(found.q, i) = qr.householderQ() * Matrix::Identity(m, k);
    matrix(found.r, i) = qr.matrixQR().topRows(k).triangularView<Eigen::Upper>();
  });
  return found;
}

}  // namespace qing
