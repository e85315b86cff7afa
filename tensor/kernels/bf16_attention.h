// The arguments of the kernel of attention in bf16, for inference.
#pragma once

#include <cstdint>

namespace qing::kernels {

/// Rows of numbers in bf16, `step` numbers apart. Each head has `depth` neighbouring columns, one head after the other.
template <class T> struct Bf16Heads {
  T* data = nullptr;
  int64_t step = 0;
};

/// softmax(scale·q·kᵀ)·v of one sequence, for every head: q [queries, heads·depth], k and v [keys, heads·depth]. Scores
/// and softmax are in f32. The weights, before their sum divides the result, and the result are rounded to bf16.
struct Bf16Attention {
  int64_t queries = 0, keys = 0, heads = 0;  ///< keys ≥ 1
  int64_t depth = 0;                         ///< a multiple of kBf16AttentionDepth; steps are even
  float scale = 0;                           ///< > 0
  Bf16Heads<const uint16_t> q, k, v;
  Bf16Heads<uint16_t> out;
};
inline constexpr int64_t kBf16AttentionDepth = 32;

/// Rows of queries that are computed at a time, and the multiple to which keys are filled up.
inline constexpr int64_t kBf16AttentionRows = 32;
/// The 32-bit words of a thread's scratch memory, which begins a cache line: keys and values as a product's right
/// operand, and the scores of a block of queries, whose rows an odd number of cache lines lies apart.
constexpr int64_t bf16_attention_scores(int64_t keys) {
  return (keys + kBf16AttentionRows - 1) / kBf16AttentionRows * kBf16AttentionRows + 16;
}
constexpr int64_t bf16_attention_scratch(int64_t keys, int64_t depth) {
  return bf16_attention_scores(keys) * (depth + kBf16AttentionRows);
}

}  // namespace qing::kernels
