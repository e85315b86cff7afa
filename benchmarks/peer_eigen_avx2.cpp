// The namespace Eigen is renamed here, so that its templates compiled for this ISA stay apart from all others.
#define Eigen EigenFor_avx2
#include <Eigen/Core>

#include "peers.h"

namespace qing::bench {

void eigen_avx2(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const Matrix> left(a, m, k), right(b, k, n);
  Eigen::Map<Matrix> product(c, m, n);
  product.noalias() = left * right;
}

}  // namespace qing::bench
