// Sweeps of optimizers over 1 MiB of parameters, which fit into caches, and over 64 MiB.
#include <qing/optim/optimizer.h>

#include "bench.h"

namespace qing::bench {
namespace {

template <class Optimizer, class Options>
void sweep(benchmark::State& state, const Options& options, int64_t arrays_moved) {
  const Tensor weight = parameter({state.range(0)});
  backward(weight, {.gradient = random(weight.shape(), DType::f32, 2)});
  Optimizer optimizer({weight}, options);
  for (auto _ : state) optimizer.step();
  count_bytes(state, arrays_moved * 4 * weight.numel());
}

void adamw(benchmark::State& state) { sweep<optim::AdamW>(state, optim::AdamWOptions{}, 7); }
void sgd(benchmark::State& state) { sweep<optim::Sgd>(state, optim::SgdOptions{}, 3); }
void sgd_momentum(benchmark::State& state) { sweep<optim::Sgd>(state, optim::SgdOptions{.momentum = 0.9}, 5); }
BENCHMARK(adamw)->Arg(1 << 18)->Arg(16 << 20)->UseRealTime();
BENCHMARK(sgd)->Arg(1 << 18)->Arg(16 << 20)->UseRealTime();
BENCHMARK(sgd_momentum)->Arg(1 << 18)->Arg(16 << 20)->UseRealTime();

}  // namespace
}  // namespace qing::bench
