// The backward of attention as a composition of differentiable operations, for gradients of gradients. Private to this
// folder.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

struct AttentionGradients {
  Tensor q, k, v, scores;  ///< the last one of the scaled scores, and so of a mask that is added
};

/// y = (kept ∘ softmax(scale·q·kᵀ + added))·v for q [..., queries, d], k [..., keys, d], v [..., keys, dv]; hidden
/// scores count as −∞, and a query without any other gives zeros.
struct AttentionGraph {
  Tensor q, k, v;
  double scale;
  Tensor added = {};   ///< undefined: nothing; broadcasts to the scores
  Tensor hidden = {};  ///< bool, likewise
  Tensor kept = {};    ///< what weights are multiplied by, likewise

  AttentionGradients backward(const Tensor& dy) const;
};

/// bool [queries, keys]: true where key j comes after first_query + i.
Tensor causal_hidden(int64_t queries, int64_t keys, int64_t first_query);

}  // namespace qing
