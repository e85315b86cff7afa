// Attention.
#pragma once

#include <optional>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct AttentionOptions {
  /// Broadcasts to [..., queries, keys] (ShapeError). Bool: true where query and key attend. Of q's dtype: added to the
  /// scaled scores, with a gradient of its own.
  Tensor attn_mask = {};
  double dropout_p = 0;  ///< the probability with which a weight is dropped; used when rng is not null
  /// null: no dropout; else takes one stream
  Generator* rng = nullptr;
  bool is_causal = false;   ///< query i sees keys 0 to first_query + i; attn_mask can hide more of them
  int64_t first_query = 0;  ///< the position of the first query among the keys; not 0 when decoding with a cache
  std::optional<double> scale = std::nullopt;  ///< factor of q·kᵀ; 1/sqrt(d) if not given
};
/// softmax(scale·q·kᵀ + mask)·v (Vaswani et al. 2017). q is [..., queries, d], k [..., keys, d], v [..., keys, dv],
/// with equal leading dimensions; the result is [..., queries, dv]. Exception: the last leading dimension (heads) of k
/// and v may be a divisor of q's. Neighbouring query heads then share one key head (grouped queries, Ainslie et al.
/// 2023). A query that attends to no key gets zeros. ShapeError, DTypeError. Time O(queries·keys·d) per head. The
/// matrix of weights is never stored (Dao et al. 2022): besides the inputs, backward keeps the result and two numbers
/// per query, and computes the weights again. The dropout probability is rounded to a multiple of 2^-16; the kept
/// weights are scaled to match.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});

/// Boundaries of the sequences of a ragged batch: sequence i is rows offsets[i] to offsets[i+1]; offsets[0] = 0.
using Offsets = std::vector<int64_t>;

struct RaggedAttentionOptions {
  int64_t heads = 1;      ///< of the queries
  int64_t key_heads = 0;  ///< of keys and values: a divisor of heads; 0: as many as heads
  bool causal = false;    ///< a query sees the keys up to its own position
  /// [heads, 2·reach − 1], of q's dtype. The scaled score of a query at position i and a key at position j gets
  /// relative_bias[head, j − i + reach − 1] (Raffel et al. 2020). No sequence may have more than `reach` keys.
  Tensor relative_bias = {};
  /// [sequences]: the position, among its sequence's keys, of each sequence's first query; the others follow. Empty:
  /// the last query stands at the last key.
  Offsets first_queries = {};
  double dropout_p = 0;      ///< the probability with which a weight is dropped; used when rng is not null
  Generator* rng = nullptr;  ///< null: no dropout; else takes one stream
};
/// Attention within each sequence of a ragged batch, without padding. q is [queries, heads·d], k and v [keys,
/// key_heads·d]; each head takes d neighbouring columns, and neighbouring query heads share a key head. Scores are
/// scaled by 1/sqrt(d). The queries of sequence s attend to the keys of sequence s only. A sequence's result depends on
/// its own rows alone, to the bit. DTypeError unless all have one floating dtype. ShapeError for widths that do not fit
/// the heads, or a bias that does not fit the heads or reach the keys. ValueError for heads that do not divide the
/// width, offsets that do not rise from 0 to the rows, a sequence with queries but no keys, queries that stand beyond
/// the keys, and a dropout outside [0, 1). Time O(Σ queries·keys·width); memory and dropout as above. The bias's
/// gradient takes queries·keys numbers a thread.
Tensor ragged_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                        const Offsets& key_offsets, const RaggedAttentionOptions& options);
/// ragged_attention() with as many key heads as heads and without positions. causal: the last query sees all keys of
/// its sequence, each earlier query one key less (ValueError if a sequence has more queries than keys).
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                 const Offsets& key_offsets, int64_t heads, double p = 0, Generator* rng = nullptr,
                 bool causal = false);
/// Self-attention: queries and keys have the same offsets. Errors as ragged_attention().
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads, double p = 0,
                 Generator* rng = nullptr, bool causal = false);
/// Self-attention with queries, keys and values side by side, as one linear_joined() product gives them: qkv [tokens,
/// 3·width]. Errors as ragged_attention().
Tensor attention_qkv_packed(const Tensor& qkv, const Offsets& offsets, int64_t heads, double p = 0,
                            Generator* rng = nullptr, bool causal = false);
/// Attention with keys and values side by side: q [queries, width], kv [keys, 2·width]. Errors as ragged_attention().
Tensor attention_kv_packed(const Tensor& q, const Tensor& kv, const Offsets& query_offsets, const Offsets& key_offsets,
                           int64_t heads, double p = 0, Generator* rng = nullptr, bool causal = false);

}  // namespace qing
