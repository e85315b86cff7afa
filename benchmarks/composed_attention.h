// Attention composed of general operations, for comparison with the fused operation.
#pragma once

#include <cmath>

#include <qing/autograd/ops.h>

namespace qing::bench {

/// q, k, v [tokens, heads·size], sequences of `length` end to end. Equals attention() without dropout. Its products
/// read the heads in place. A library whose products need whole matrices cannot do so.
inline Tensor composed_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t length, int64_t heads) {
  const int64_t tokens = q.size(0), size = q.size(1) / heads;
  const auto by_head = [&](const Tensor& x) {
    return x.reshape({tokens / length, length, heads, size}).transpose(1, 2);
  };
  const Tensor scores = matmul(by_head(q), by_head(k).transpose(2, 3)) * (1 / std::sqrt(static_cast<double>(size)));
  return matmul(softmax(scores), by_head(v)).transpose(1, 2).reshape({tokens, heads * size});
}

/// The same, but heads are copied apart and together, as for a product of a batch of whole matrices.
inline Tensor unfused_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t length, int64_t heads) {
  const int64_t tokens = q.size(0), size = q.size(1) / heads, batch = tokens / length * heads;
  const auto apart = [&](const Tensor& x) {
    return x.reshape({tokens / length, length, heads, size}).transpose(1, 2).reshape({batch, length, size});
  };
  const Tensor scores = matmul(apart(q), apart(k).transpose(1, 2));
  const Tensor weights = softmax(scores * (1 / std::sqrt(static_cast<double>(size))));
  const Tensor mixed = matmul(weights, apart(v)).reshape({tokens / length, heads, length, size});
  return mixed.transpose(1, 2).reshape({tokens, heads * size});
}

}  // namespace qing::bench
