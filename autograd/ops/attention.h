// Attention.
#pragma once

#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Where each sequence of a ragged batch begins: offsets[i] to offsets[i+1], offsets[0] = 0.
using Offsets = std::vector<int64_t>;
/// Multi-head scaled dot-product attention within each sequence of a ragged batch (Vaswani et al. 2017): q is
/// [queries, heads·d], k and v [keys, heads·d]; a head takes d neighbouring columns; scores are scaled by 1/sqrt(d).
/// The queries of sequence s attend to the keys of sequence s alone. No padding exists anywhere. A sequence's result
/// depends on its own rows alone, to the bit. Attention weights are dropped with probability p when rng is not null (one
/// stream). Time O(Σ queries·keys·width); what backward keeps is O(Σ queries·keys·heads).
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                 const Offsets& key_offsets, int64_t heads, double p = 0, Generator* rng = nullptr);
/// Self-attention: queries and keys have the same offsets.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads, double p = 0,
                 Generator* rng = nullptr);

}  // namespace qing
