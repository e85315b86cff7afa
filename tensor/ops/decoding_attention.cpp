#include <qing/tensor/ops/decoding_attention.h>

#include <cmath>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/attention_scratch.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

float scale_of(int64_t depth) { return static_cast<float>(1 / std::sqrt(static_cast<double>(depth))); }

void attend_head(const CachedQueries& s, int64_t head, int64_t heads, int64_t depth, float* sums, float* scratch) {
  const int64_t width = heads * depth, column = head * depth;
  const kernels::AttentionHead<float> a{
      .queries = s.queries,
      .keys = s.keys,
      .depth = depth,
      .value_depth = depth,
      .scale = scale_of(depth),
      .q = {s.q + column, s.q_step},
      .k = {s.keys_values + column, 2 * width},
      .v = {s.keys_values + width + column, 2 * width},
      .mask = {.added = s.added == nullptr ? nullptr : s.added + head * s.head_step, .row = s.keys, .column = 1}};
  kernels::kernels<float>().attention_forward(a, {sums, sums + s.queries}, {s.out + column, s.out_step}, scratch);
}

}  // namespace

void decoding_attention(std::span<const CachedQueries> sequences, int64_t heads, int64_t depth) {
  int64_t work = 0, most = 0;
  for (const CachedQueries& s : sequences) {
    work += 2 * s.queries * s.keys * heads * depth;
    most = std::max(most, s.queries);
  }
  const int64_t pairs = std::ssize(sequences) * heads;
  parallel_for(pairs, work > kParallelWork ? 1 : std::max<int64_t>(1, pairs), [&](int64_t begin, int64_t end) {
    const int64_t scratch = attention_scratch_elements(depth, depth);
    const Tensor memory = Tensor::empty({scratch + 2 * most});
    for (int64_t i = begin; i < end; ++i) {
      attend_head(sequences[i / heads], i % heads, heads, depth, memory.data<float>() + scratch, memory.data<float>());
    }
  });
}

void decoding_attention_weights(const CachedQueries& s, int64_t heads, int64_t depth, float* weights) {
  const auto& table = kernels::kernels<float>();
  const Tensor memory = Tensor::empty({s.keys});
  float* const scores = memory.data<float>();
  for (int64_t i = 0; i < s.queries; ++i) {
    float* const mean = weights + i * s.keys;
    for (int64_t j = 0; j < s.keys; ++j) mean[j] = 0;
    for (int64_t h = 0; h < heads; ++h) {
      const float* const query = s.q + i * s.q_step + h * depth;
      for (int64_t j = 0; j < s.keys; ++j) {
        scores[j] = table.dot(depth, query, s.keys_values + j * 2 * heads * depth + h * depth);
      }
      table.softmax(s.keys, scale_of(depth), scores, scores);
      table.axpy(s.keys, 1 / static_cast<float>(heads), scores, mean);
    }
  }
}

}  // namespace qing
