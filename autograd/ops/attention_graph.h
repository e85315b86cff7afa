// The backward of attention, composed of differentiable operations, for gradients of gradients. Private to this folder.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

struct AttentionGradients {
  Tensor q, k, v, scores;  ///< the gradient of the scaled scores, and so of an added mask
};

/// y = (kept ∘ softmax(scale·q·kᵀ + added))·v for q [..., queries, d], k [..., keys, d], v [..., keys, dv]. Hidden
/// scores count as −∞. A query whose scores are all hidden gives zeros.
struct AttentionGraph {
  Tensor q, k, v;
  double scale;
  Tensor added = {};   ///< broadcasts to the scores; undefined: nothing is added
  Tensor hidden = {};  ///< bool, broadcasts to the scores; undefined: none is hidden
  Tensor kept = {};    ///< factors of the weights, broadcast to them; undefined: 1

  AttentionGradients backward(const Tensor& dy) const;
};

/// Bool [queries, keys]: true where key j comes after key first_query + i.
Tensor causal_hidden(int64_t queries, int64_t keys, int64_t first_query);

}  // namespace qing
