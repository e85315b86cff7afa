// Operations that move numbers and compute little: embedding and copies of strided views.
#include <qing/autograd/ops.h>

#include "bench.h"

namespace qing::bench {
namespace {

constexpr int64_t kVocabulary = 16000, kTokens = 2048;

Tensor ids_below(int64_t bound) {
  Tensor ids = Tensor::empty({kTokens}, DType::i64);
  Generator(1).fill_integers(ids, 0, bound);
  return ids;
}

void embedding_gather(benchmark::State& state) {
  const Tensor weight = random({kVocabulary, state.range(0)}), ids = ids_below(kVocabulary);
  measure(state, [&] { return embedding(weight, ids); });
  count_bytes(state, 2 * 4 * kTokens * state.range(0));
}
BENCHMARK(embedding_gather)->ArgName("width")->Arg(128)->Arg(384)->UseRealTime();

// First few different ids, so that most additions hit the same rows, then ids spread over all rows.
void embedding_scatter_add(benchmark::State& state) {
  const Tensor target = Tensor::zeros({kTokens, 128}), source = random({kTokens, 128});
  const Tensor ids = ids_below(state.range(0));
  measure(state, [&] { return index_add(target, 0, ids, source); });
  count_bytes(state, 5 * 4 * kTokens * 128);
}
BENCHMARK(embedding_scatter_add)->ArgName("ids")->Arg(8)->Arg(kTokens)->UseRealTime();

void embedding_backward(benchmark::State& state) {
  const Tensor weight = parameter({kVocabulary, 128}), ids = ids_below(kVocabulary);
  measure_backward(state, {weight}, [&] { return embedding(weight, ids); });
}
BENCHMARK(embedding_backward)->UseRealTime();

void transpose_copy(benchmark::State& state) {
  const Tensor x = random({state.range(0), state.range(1)}).transpose(0, 1);
  measure(state, [&] { return x.contiguous(); });
  count_bytes(state, 2 * 4 * x.numel());
}
BENCHMARK(transpose_copy)->Args({64, 64})->Args({1024, 1024})->Args({2048, 384})->Args({1023, 257})->UseRealTime();

void permute_heads(benchmark::State& state) {
  const Tensor x = random({16, 128, 4, 32}).permute({0, 2, 1, 3});
  measure(state, [&] { return x.contiguous(); });
  count_bytes(state, 2 * 4 * x.numel());
}
BENCHMARK(permute_heads)->UseRealTime();

void strided_copy(benchmark::State& state) {
  const Tensor x = random({1024, 2048}).slice(1, 0, 2048, state.range(0));
  measure(state, [&] { return x.clone(); });
  count_bytes(state, 2 * 4 * x.numel());
}
BENCHMARK(strided_copy)->ArgName("step")->Arg(1)->Arg(2)->Arg(3)->UseRealTime();

void concatenate(benchmark::State& state) {
  const Tensor a = random({1024, 384}), b = random({1024, 128});
  measure(state, [&] { return cat({a, b}, 1); });
  count_bytes(state, 2 * 4 * 1024 * 512);
}
BENCHMARK(concatenate)->UseRealTime();

}  // namespace
}  // namespace qing::bench
