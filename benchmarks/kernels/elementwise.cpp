// Elementwise functions on 16 KiB, which fit into L1, and on 64 MiB, which exceed most caches.
#include <qing/autograd/ops.h>

#include "bench.h"

namespace qing::bench {
namespace {

using Function = Tensor (*)(const Tensor&);

void forward(benchmark::State& state, Function f) {
  const Tensor x = random({state.range(0)});
  measure(state, [&] { return f(x); });
  count_bytes(state, 2 * 4 * x.numel());
}

void forward_backward(benchmark::State& state, Function f) {
  const Tensor x = parameter({state.range(0)});
  measure_backward(state, {x}, [&] { return f(x); });
  count_bytes(state, 5 * 4 * x.numel());
}

Tensor gelu_tanh(const Tensor& x) { return gelu(x, Approximation::tanh); }

#define QING_FUNCTION(f)                                                                                      \
  BENCHMARK_CAPTURE(forward, f, static_cast<Function>(f))->Name(#f)->Arg(4096)->Arg(16 << 20)->UseRealTime(); \
  BENCHMARK_CAPTURE(forward_backward, f, static_cast<Function>(f))->Name(#f "_backward")->Arg(1 << 20)->UseRealTime()
QING_FUNCTION(exp);
QING_FUNCTION(log);
QING_FUNCTION(tanh);
QING_FUNCTION(erf);
QING_FUNCTION(sigmoid);
QING_FUNCTION(gelu);
QING_FUNCTION(gelu_tanh);
QING_FUNCTION(silu);
QING_FUNCTION(relu);
#undef QING_FUNCTION

void add(benchmark::State& state) {
  const Tensor a = random({state.range(0)}), b = random({state.range(0)}, DType::f32, 2);
  measure(state, [&] { return a + b; });
  count_bytes(state, 3 * 4 * a.numel());
}
BENCHMARK(add)->Arg(4096)->Arg(16 << 20)->UseRealTime();

void dropout_philox(benchmark::State& state) {
  const Tensor x = random({state.range(0)});
  Generator rng(1);
  measure(state, [&] { return dropout(x, 0.1, rng); });
  count_bytes(state, 2 * 4 * x.numel());
}
BENCHMARK(dropout_philox)->Arg(4096)->Arg(16 << 20)->UseRealTime();

void random_normal(benchmark::State& state) {
  Tensor x = Tensor::empty({state.range(0)});
  Generator rng(1);
  for (auto _ : state) rng.fill_normal(x, 0, 1);
  count_bytes(state, 4 * x.numel());
}
BENCHMARK(random_normal)->Arg(1 << 20)->UseRealTime();

}  // namespace
}  // namespace qing::bench
