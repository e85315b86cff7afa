#include <qing/tensor/ops/bf16_attention.h>

#include <algorithm>
#include <cmath>
#include <string>

#include <qing/tensor/denormals.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/kernels/bf16_attention.h>
#include <qing/tensor/kernels/low_precision_strips.h>
#include <qing/tensor/ops/gemm_blocks.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

const uint16_t* bits(const BFloat16* p) { return reinterpret_cast<const uint16_t*>(p); }
uint16_t* bits(BFloat16* p) { return reinterpret_cast<uint16_t*>(p); }

// The part of the rows from `row` on that belongs to the heads from `column` on.
template <class T> auto from(Bf16HeadRows<T> rows, int64_t row, int64_t column) {
  auto* const data = bits(rows.data + row * rows.step + column);
  return kernels::Bf16Heads<std::remove_pointer_t<decltype(data)>>{data, rows.step};
}

}  // namespace

bool has_bf16_attention(int64_t depth) {
  return kernels::low_precision().bf16_attention != nullptr && depth > 0 && depth % kernels::kBf16AttentionDepth == 0;
}

void bf16_attention(Bf16HeadRows<const BFloat16> q, Bf16HeadRows<const BFloat16> k, Bf16HeadRows<const BFloat16> v,
                    std::span<const int64_t> query_offsets, std::span<const int64_t> key_offsets, int64_t heads,
                    int64_t depth, Bf16HeadRows<BFloat16> out) {
  if (!has_bf16_attention(depth) || (q.step | k.step | v.step | out.step) % 2 != 0) {
    throw ValueError("bf16_attention: heads of depth " + std::to_string(depth) + ", steps " + std::to_string(q.step) +
                     ", " + std::to_string(k.step) + ", " + std::to_string(v.step) + ", " + std::to_string(out.step) +
                     "; needs has_bf16_attention(depth) and even steps");
  }
  const int64_t sequences = std::ssize(query_offsets) - 1;
  int64_t work = 0;
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t queries = query_offsets[s + 1] - query_offsets[s], keys = key_offsets[s + 1] - key_offsets[s];
    if (queries > 0 && keys == 0) {
      throw ValueError("bf16_attention: sequence " + std::to_string(s) + " has queries but no keys");
    }
    work += queries * keys * heads * depth / 8;  // an instruction computes more products than one for f32
  }
  const int64_t grain = work > kParallelWork ? 1 : std::max<int64_t>(1, sequences * heads);
  parallel_for(sequences * heads, grain, [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    // Heads of one sequence are one call.
    for (int64_t i = begin, count = 0; i < end; i += count) {
      const int64_t s = i / heads, head = i % heads;
      count = std::min(heads - head, end - i);
      const int64_t query = query_offsets[s], key = key_offsets[s], keys = key_offsets[s + 1] - key;
      if (query_offsets[s + 1] == query) continue;
      const kernels::Bf16Attention attention{.queries = query_offsets[s + 1] - query,
                                             .keys = keys,
                                             .heads = count,
                                             .depth = depth,
                                             .scale = 1 / std::sqrt(static_cast<float>(depth)),
                                             .q = from(q, query, head * depth),
                                             .k = from(k, key, head * depth),
                                             .v = from(v, key, head * depth),
                                             .out = from(out, query, head * depth)};
      kernels::low_precision().bf16_attention(attention,
                                              packing_buffer<uint32_t>(kernels::bf16_attention_scratch(keys, depth)));
    }
  });
}

}  // namespace qing
