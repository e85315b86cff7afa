// Row operations: softmax and its variants, norms, cross entropy and reductions. Rows are as wide as an encoder's.
#include <qing/autograd/ops.h>

#include "bench.h"

namespace qing::bench {
namespace {

constexpr int64_t kRows = 2048;

void row_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "columns"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const int64_t columns : {36, 128, 384, 1024}) b->Args({kRows, columns});
}

using Function = Tensor (*)(const Tensor& x);

void rowwise(benchmark::State& state, Function f) {
  const Tensor x = random({state.range(0), state.range(1)});
  measure(state, [&] { return f(x); });
  count_bytes(state, 2 * 4 * x.numel());
}
void rowwise_backward(benchmark::State& state, Function f) {
  const Tensor x = parameter({state.range(0), state.range(1)});
  measure_backward(state, {x}, [&] { return f(x); });
  count_bytes(state, 5 * 4 * x.numel());
}
Tensor softmax_rows(const Tensor& x) { return softmax(x); }
Tensor log_softmax_rows(const Tensor& x) { return log_softmax(x); }
Tensor logsumexp_rows(const Tensor& x) { return logsumexp(x, {-1}); }
BENCHMARK_CAPTURE(rowwise, softmax, softmax_rows)->Name("softmax")->Apply(row_sizes);
BENCHMARK_CAPTURE(rowwise_backward, softmax, softmax_rows)->Name("softmax_backward")->Apply(row_sizes);
BENCHMARK_CAPTURE(rowwise, log_softmax, log_softmax_rows)->Name("log_softmax")->Apply(row_sizes);
BENCHMARK_CAPTURE(rowwise, logsumexp, logsumexp_rows)->Name("logsumexp")->Apply(row_sizes);

template <class Norm> void norm_forward(benchmark::State& state, Norm norm) {
  const Tensor x = random({state.range(0), state.range(1)}), weight = random({state.range(1)});
  measure(state, [&] { return norm(x, weight); });
  count_bytes(state, 2 * 4 * x.numel());
}
template <class Norm> void norm_backward(benchmark::State& state, Norm norm) {
  const Tensor x = parameter({state.range(0), state.range(1)}), weight = parameter({state.range(1)}, 2);
  measure_backward(state, {x, weight}, [&] { return norm(x, weight); });
  count_bytes(state, 5 * 4 * x.numel());
}
constexpr auto kLayerNorm = [](const Tensor& x, const Tensor& weight) { return layer_norm(x, weight, weight, 1e-5); };
constexpr auto kRmsNorm = [](const Tensor& x, const Tensor& weight) { return rms_norm(x, weight, 1e-5); };
void layer_norm_forward(benchmark::State& state) { norm_forward(state, kLayerNorm); }
void layer_norm_backward(benchmark::State& state) { norm_backward(state, kLayerNorm); }
void rms_norm_forward(benchmark::State& state) { norm_forward(state, kRmsNorm); }
void rms_norm_backward(benchmark::State& state) { norm_backward(state, kRmsNorm); }
BENCHMARK(layer_norm_forward)->Name("layer_norm")->Apply(row_sizes);
BENCHMARK(layer_norm_backward)->Apply(row_sizes);
BENCHMARK(rms_norm_forward)->Name("rms_norm")->Apply(row_sizes);
BENCHMARK(rms_norm_backward)->Apply(row_sizes);

Tensor classes_of(int64_t rows, int64_t classes) {
  Tensor targets = Tensor::empty({rows}, DType::i64);
  Generator(1).fill_integers(targets, 0, classes);
  return targets;
}
void cross_entropy_backward(benchmark::State& state) {
  const Tensor logits = parameter({state.range(0), state.range(1)});
  const Tensor targets = classes_of(state.range(0), state.range(1));
  measure_backward(state, {logits}, [&] { return cross_entropy(logits, targets); });
  count_bytes(state, 3 * 4 * logits.numel());
}
BENCHMARK(cross_entropy_backward)->Args({kRows, 3})->Args({kRows, 128})->Args({256, 16000})->UseRealTime();

void sum_all(benchmark::State& state) {
  const Tensor x = random({state.range(0)});
  measure(state, [&] { return sum(x); });
  count_bytes(state, 4 * x.numel());
}
BENCHMARK(sum_all)->Arg(4096)->Arg(16 << 20)->UseRealTime();

void sum_over_dim(benchmark::State& state) {
  const Tensor x = random({kRows, 1024});
  measure(state, [&] { return sum(x, {state.range(0)}); });
  count_bytes(state, 4 * x.numel());
}
BENCHMARK(sum_over_dim)->ArgName("dim")->Arg(0)->Arg(1)->UseRealTime();

void max_over_dim(benchmark::State& state) {
  const Tensor x = random({kRows, 1024});
  measure(state, [&] { return amax(x, {state.range(0)}); });
  count_bytes(state, 4 * x.numel());
}
BENCHMARK(max_over_dim)->ArgName("dim")->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
}  // namespace qing::bench
