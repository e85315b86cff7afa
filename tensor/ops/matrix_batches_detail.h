// Batches of matrices for Eigen. Private to this folder.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>

#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMatrixMap = Eigen::Map<RowMatrix>;

// Multiplications that are worth a thread.
inline constexpr int64_t kMatrixWork = 1 << 16;

inline RowMatrixMap matrix_of(const Tensor& batch, int64_t i) {
  const int64_t rows = batch.size(1), columns = batch.size(2);
  return {batch.data<double>() + i * rows * columns, rows, columns};
}

inline Eigen::Map<Eigen::VectorXd> vector_of(const Tensor& batch, int64_t i) {
  return {batch.data<double>() + i * batch.size(1), batch.size(1)};
}

// Calls body(i) for each matrix of the batch. An empty matrix has nothing to do.
template <class Body> void over_matrices(const Tensor& a, const Body& body) {
  if (a.numel() == 0) return;
  const int64_t work = a.size(1) * a.size(2) * std::max(a.size(1), a.size(2));
  parallel_for(a.size(0), std::max<int64_t>(1, kMatrixWork / std::max<int64_t>(1, work)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) body(i);
               });
}

}  // namespace qing
