// Attention on numbers in bf16, for inference on processors with instructions for products of matrices.
#pragma once

#include <cstdint>
#include <span>

#include <qing/tensor/dtype.h>

namespace qing {

/// Rows of heads in bf16: row i is at data + i·step, and each head takes `depth` neighbouring numbers of it.
template <class T> struct Bf16HeadRows {
  T* data;
  int64_t step;  ///< even
};

/// Whether bf16_attention() computes heads of this depth here, which is faster than attention in f32 then.
bool has_bf16_attention(int64_t depth);

/// out = softmax(q·kᵀ/√depth)·v for each head of each sequence: queries query_offsets[s] to query_offsets[s + 1] look
/// at keys key_offsets[s] to key_offsets[s + 1]. Offsets rise from 0. Products are of numbers in bf16 and summed in
/// f32, softmax is in f32, and its weights and the results are rounded to bf16. Threads share heads and sequences. The
/// bits of a sequence's rows depend on the sequence alone. A sequence with a number that is not finite may get NaN.
/// ValueError unless has_bf16_attention(depth), for steps that are not even, and for a sequence with queries but no
/// keys.
void bf16_attention(Bf16HeadRows<const BFloat16> q, Bf16HeadRows<const BFloat16> k, Bf16HeadRows<const BFloat16> v,
                    std::span<const int64_t> query_offsets, std::span<const int64_t> key_offsets, int64_t heads,
                    int64_t depth, Bf16HeadRows<BFloat16> out);

}  // namespace qing
