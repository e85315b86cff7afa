#include <qing/autograd/ops/attention_graph.h>

#include <limits>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/products.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/selection.h>
#include <qing/autograd/ops/softmax.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/nonzero.h>

namespace qing {

AttentionGradients AttentionGraph::backward(const Tensor& dy) const {
  const auto transposed = [](const Tensor& x) { return transpose(x, -2, -1); };
  Tensor scores = qing::scale(matmul(q, transposed(k)), scale);
  if (added.defined()) scores = add(scores, added);
  Tensor weights;
  if (hidden.defined()) {
    // softmax of scores that are all −∞ would be NaN.
    const Tensor lonely = all(hidden, {-1}, true);
    scores = masked_fill(scores, hidden, -std::numeric_limits<double>::infinity());
    weights = masked_fill(softmax(masked_fill(scores, lonely, 0)), lonely, 0);
  } else {
    weights = softmax(scores);
  }
  const auto dropped = [this](const Tensor& x) { return kept.defined() ? mul(x, kept) : x; };
  const Tensor dweights = dropped(matmul(dy, transposed(v)));
  const Tensor dscores = mul(weights, sub(dweights, sum(mul(dweights, weights), {-1}, true)));
  const Tensor scaled = qing::scale(dscores, scale);
  return {matmul(scaled, k), matmul(transposed(scaled), q), matmul(transposed(dropped(weights)), dy), dscores};
}

Tensor causal_hidden(int64_t queries, int64_t keys, int64_t first_query) {
  Tensor hidden = Tensor::empty({queries, keys}, DType::boolean);
  bool* out = hidden.data<bool>();
  for (int64_t i = 0; i < queries; ++i) {
    for (int64_t j = 0; j < keys; ++j) *out++ = j > first_query + i;
  }
  return hidden;
}

}  // namespace qing
