// Shared functions of the benchmarks of this folder.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/machine.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::bench {

/// Uniform in [−1, 1), the same for the same seed.
inline Tensor random(const Shape& shape, DType dtype = DType::f32, uint64_t seed = 1) {
  Generator rng(seed);
  Tensor x = Tensor::empty(shape, dtype);
  rng.fill_uniform(x, -1, 1);
  return x;
}
inline Tensor parameter(const Shape& shape, uint64_t seed = 1) {
  Tensor x = random(shape, DType::f32, seed);
  set_requires_grad(x);
  return x;
}

/// Counts FLOP/s, and their share of the f32 peak (of half of it for f64) with the same number of threads.
inline void count_flops(benchmark::State& state, double flops, DType dtype = DType::f32) {
  static const double peak = fma_peak(kernels::active_isa());
  const double all = flops * static_cast<double>(state.iterations());
  state.counters["FLOP/s"] = benchmark::Counter(all, benchmark::Counter::kIsRate);
  state.counters["of_peak"] =
      benchmark::Counter(all / (dtype == DType::f64 ? peak / 2 : peak), benchmark::Counter::kIsRate);
}
/// Counts the bytes that the loads and stores of the computation move.
inline void count_bytes(benchmark::State& state, int64_t bytes) { state.SetBytesProcessed(bytes * state.iterations()); }

/// Runs `body` without recording a graph.
template <class Body> void measure(benchmark::State& state, const Body& body) {
  const NoGradGuard no_grad;
  for (auto _ : state) benchmark::DoNotOptimize(body());
}

/// Runs forward and backward of `forward`. The gradient of its result is all ones. Gradients of `leaves` are cleared
/// first.
template <class Forward>
void measure_backward(benchmark::State& state, const std::vector<Tensor>& leaves, const Forward& forward) {
  Tensor gradient;
  for (auto _ : state) {
    for (const Tensor& leaf : leaves) zero_grad(leaf);
    const Tensor y = forward();
    if (!gradient.defined()) gradient = Tensor::full(y.shape(), 1);
    backward(y, {.gradient = gradient});
  }
}

}  // namespace qing::bench
