// Attention.
#pragma once

#include <optional>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct AttentionOptions {
  /// Broadcasts to [..., queries, keys]. boolean: true where the key takes part. Of q's dtype: added to the scaled
  /// scores, with a gradient of its own.
  Tensor attn_mask = {};
  double dropout_p = 0;  ///< weights are dropped when rng is not null (one stream)
  Generator* rng = nullptr;
  bool is_causal = false;   ///< query i sees keys 0 to first_query + i; together with attn_mask: what both allow
  int64_t first_query = 0;  ///< the position of the first query among the keys, not 0 when decoding with a cache
  std::optional<double> scale = std::nullopt;  ///< of q·kᵀ; 1/sqrt(d) if not given
};
/// softmax(scale·q·kᵀ + mask)·v (Vaswani et al. 2017) for q [..., queries, d], k [..., keys, d], v [..., keys, dv] with
/// the same leading dimensions; the result is [..., queries, dv]. The last leading dimension, heads, of k and v may be
/// a divisor of q's: neighbouring query heads then share one (grouped queries, Ainslie et al. 2023). A query without
/// any key to attend to gets zeros. ShapeError, DTypeError. Time O(queries·keys·d) a head. The matrix of weights is
/// never stored (Dao et al. 2022): what backward keeps besides the inputs is the result and two numbers a query, and it
/// computes the weights again. Weights are dropped with a probability rounded to a multiple of 2^-16, and the others
/// scaled to match.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});

/// Where each sequence of a ragged batch begins: offsets[i] to offsets[i+1], offsets[0] = 0.
using Offsets = std::vector<int64_t>;
/// The same within each sequence of a ragged batch: q is [queries, heads·d], k and v [keys, heads·d]; a head takes d
/// neighbouring columns; scores are scaled by 1/sqrt(d). The queries of sequence s attend to the keys of sequence s
/// alone. Causal: its last query sees all of its keys, each one before it one key less (ValueError if it has more
/// queries than keys). No padding exists anywhere. A sequence's result depends on its own rows alone, to the bit.
/// Attention weights are dropped with probability p when rng is not null (one stream). Time O(Σ queries·keys·width);
/// memory and dropout as above.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                 const Offsets& key_offsets, int64_t heads, double p = 0, Generator* rng = nullptr,
                 bool causal = false);
/// Self-attention: queries and keys have the same offsets.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads, double p = 0,
                 Generator* rng = nullptr, bool causal = false);
/// The same of queries, keys and values side by side, as one product of linear_joined() gives them: qkv
/// [tokens, 3·width].
Tensor attention_qkv_packed(const Tensor& qkv, const Offsets& offsets, int64_t heads, double p = 0,
                            Generator* rng = nullptr, bool causal = false);
/// Keys and values side by side: q [queries, width], kv [keys, 2·width].
Tensor attention_kv_packed(const Tensor& q, const Tensor& kv, const Offsets& query_offsets, const Offsets& key_offsets,
                           int64_t heads, double p = 0, Generator* rng = nullptr, bool causal = false);

}  // namespace qing
