// Self-attention on sequences of one length, with about 2,048 tokens in all and four heads: the fused operation and two
// compositions of general operations. Forward alone, and forward with backward.
#include <qing/autograd/ops.h>

#include "../composed_attention.h"
#include "bench.h"

namespace qing::bench {
namespace {

constexpr int64_t kHeads = 4;

Tensor fused(const Tensor& q, const Tensor& k, const Tensor& v, int64_t length) {
  Offsets offsets;
  for (int64_t i = 0; i <= q.size(0) / length; ++i) offsets.push_back(i * length);
  return attention(q, k, v, offsets, kHeads);
}

Tensor composed(const Tensor& q, const Tensor& k, const Tensor& v, int64_t length) {
  return composed_attention(q, k, v, length, kHeads);
}

Tensor unfused(const Tensor& q, const Tensor& k, const Tensor& v, int64_t length) {
  return unfused_attention(q, k, v, length, kHeads);
}

using Attention = Tensor (*)(const Tensor& q, const Tensor& k, const Tensor& v, int64_t length);

void attend(benchmark::State& state, Attention f, bool differentiate) {
  const int64_t length = state.range(0), size = state.range(1), tokens = 2048 / length * length;
  const Tensor q = parameter({tokens, kHeads * size}, 1), k = parameter(q.shape(), 2), v = parameter(q.shape(), 3);
  if (differentiate) {
    measure_backward(state, {q, k, v}, [&] { return f(q, k, v, length); });
  } else {
    measure(state, [&] { return f(q, k, v, length); });
  }
  // Forward has two products. Each has two gradients, which are products too.
  const double products = differentiate ? 6 : 2;
  count_flops(state, products * 2 * static_cast<double>(tokens * length * kHeads * size));
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"length", "head"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const int64_t length : {36, 128, 512}) b->Args({length, 32})->Args({length, 64});
}
BENCHMARK_CAPTURE(attend, fused, fused, false)->Name("attention_fused")->Apply(sizes);
BENCHMARK_CAPTURE(attend, composed, composed, false)->Name("attention_composed")->Apply(sizes);
BENCHMARK_CAPTURE(attend, unfused, unfused, false)->Name("attention_unfused")->Apply(sizes);
BENCHMARK_CAPTURE(attend, fused_backward, fused, true)->Name("attention_fused_backward")->Apply(sizes);
BENCHMARK_CAPTURE(attend, composed_backward, composed, true)->Name("attention_composed_backward")->Apply(sizes);
BENCHMARK_CAPTURE(attend, unfused_backward, unfused, true)->Name("attention_unfused_backward")->Apply(sizes);

}  // namespace
}  // namespace qing::bench
