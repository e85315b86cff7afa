// Matrix products: squares, the encoder's layers, few rows, and odd sizes.
#include <qing/tensor/ops/gemm.h>

#include "bench.h"

namespace qing::bench {
namespace {

template <class T> void product(benchmark::State& state, Trans trans_b) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const Tensor a = random({m, k}, dtype_of<T>), b = random({k, n}, dtype_of<T>), c = Tensor::empty({m, n}, dtype_of<T>);
  for (auto _ : state) {
    gemm<T>(Trans::no, trans_b, m, n, k, a.data<T>(), k, b.data<T>(), trans_b == Trans::no ? n : k, c.data<T>(), n);
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * static_cast<double>(m * n * k), dtype_of<T>);
}

void product_f32(benchmark::State& state, Trans trans_b) { product<float>(state, trans_b); }
void product_f64(benchmark::State& state, Trans trans_b) { product<double>(state, trans_b); }

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"m", "n", "k"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const int64_t n : {64, 256, 1024}) b->Args({n, n, n});
  b->Args({1024, 512, 128})->Args({1024, 128, 512})->Args({128, 128, 2304});
  b->Args({1, 384, 384})->Args({8, 384, 384})->Args({16, 384, 384})->Args({1023, 257, 129})->Args({36, 32, 36});
}
BENCHMARK_CAPTURE(product_f32, nn, Trans::no)->Name("gemm_f32_nn")->Apply(shapes);
BENCHMARK_CAPTURE(product_f32, nt, Trans::yes)->Name("gemm_f32_nt")->Apply(shapes);
BENCHMARK_CAPTURE(product_f64, nn, Trans::no)->Name("gemm_f64_nn")->Apply(shapes);
BENCHMARK_CAPTURE(product_f64, nt, Trans::yes)->Name("gemm_f64_nt")->Apply(shapes);

}  // namespace
}  // namespace qing::bench
