// Attention of a few new queries to rows that a cache holds, without gradients.
#pragma once

#include <cstdint>
#include <span>

namespace qing {

/// The queries of one sequence, and the rows that they look at. Heads are neighbouring columns of equal width.
struct CachedQueries {
  const float* q;  ///< row i, [heads·depth], is at q + i·q_step
  int64_t queries, q_step;
  const float*
      keys_values;  ///< row j, keys [heads·depth] and then values [heads·depth], is at keys_values + j·2·heads·depth
  int64_t keys;
  /// Added to the scaled scores, −∞ where a query does not see a key: [queries, keys], head h's at added + h·head_step.
  /// Null: nothing is added.
  const float* added = nullptr;
  int64_t head_step = 0;
  float* out;  ///< row i, [heads·depth], is at out + i·out_step
  int64_t out_step;
};

/// softmax(q·kᵀ/√depth + added)·v for each head of each sequence. Threads share the heads of all sequences. The bits of
/// a sequence's rows depend on the sequence alone.
void decoding_attention(std::span<const CachedQueries> sequences, int64_t heads, int64_t depth);

/// The mean over the heads of softmax(q·kᵀ/√depth): weights [queries, keys], dense. Nothing is added.
void decoding_attention_weights(const CachedQueries& sequence, int64_t heads, int64_t depth, float* weights);

}  // namespace qing
