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

Eigen::PartialPivLU<RowMatrix> invertible(const Tensor& a, int64_t i, const char* op) {
  Eigen::PartialPivLU<RowMatrix> lu(matrix_of(a, i));
  if ((lu.matrixLU().diagonal().array() == 0).any()) {
    throw ValueError(fmt::format("{}: matrix {} of the batch is singular", op, i));
  }
  return lu;
}

}  // namespace

Tensor inverse_of(const Tensor& a, const char* op) {
  Tensor y = Tensor::empty(a.shape(), DType::f64);
  over_matrices(a, [&](int64_t i) { matrix_of(y, i) = invertible(a, i, op).inverse(); });
  return y;
}

Tensor solution_of(const Tensor& a, const Tensor& b, const char* op) {
  Tensor x = Tensor::empty(b.shape(), DType::f64);
  over_matrices(a, [&](int64_t i) { matrix_of(x, i) = invertible(a, i, op).solve(matrix_of(b, i)); });
  return x;
}

Tensor triangular_solution_of(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  Tensor x = Tensor::empty(b.shape(), DType::f64);
  over_matrices(a, [&](int64_t i) {
    const RowMatrixMap left = matrix_of(a, i), right = matrix_of(b, i);
    RowMatrixMap out = matrix_of(x, i);
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
    const Eigen::PartialPivLU<RowMatrix> lu(matrix_of(a, i));
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
    const Eigen::LLT<RowMatrix> llt(matrix_of(a, i));
    if (llt.info() != Eigen::Success) {
      throw ValueError(fmt::format("{}: matrix {} of the batch is not positive definite", op, i));
    }
    matrix_of(y, i) = llt.matrixL();
  });
  return y;
}

QAndR qr_of(const Tensor& a) {
  const int64_t m = a.size(1), n = a.size(2), k = std::min(m, n);
  QAndR found{Tensor::zeros({a.size(0), m, k}, DType::f64), Tensor::zeros({a.size(0), k, n}, DType::f64)};
  over_matrices(a, [&](int64_t i) {
    const Eigen::HouseholderQR<RowMatrix> qr(matrix_of(a, i));
    matrix_of(found.q, i) = qr.householderQ() * RowMatrix::Identity(m, k);
    matrix_of(found.r, i) = qr.matrixQR().topRows(k).triangularView<Eigen::Upper>();
  });
  return found;
}

}  // namespace qing
