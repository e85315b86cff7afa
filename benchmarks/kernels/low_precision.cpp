// Products whose right operand was packed beforehand, as weights are: in f32, bf16 and int8.
#include <qing/tensor/ops/low_precision.h>

#include "bench.h"

namespace qing::bench {
namespace {

template <class Weights> void multiply(int64_t m, const Tensor& a, const Weights& weights, const Tensor& c) {
  gemm(m, a.data<float>(), a.size(1), weights, c.data<float>(), c.size(1));
}
void multiply(int64_t m, const Tensor& a, const PackedMatrix<float>& weights, const Tensor& c) {
  gemm(Trans::no, m, a.data<float>(), a.size(1), weights, c.data<float>(), c.size(1));
}

template <class Weights> void packed(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const Tensor a = random({m, k}), b = random({n, k}, DType::f32, 2), c = Tensor::empty({m, n});
  const Weights weights(Trans::yes, k, n, b.data<float>(), k);
  for (auto _ : state) {
    multiply(m, a, weights, c);
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * static_cast<double>(m * n * k));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"m", "n", "k"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  b->Args({1, 384, 384})->Args({8, 384, 384})->Args({16, 512, 128})->Args({1024, 512, 128})->Args({1024, 1024, 1024});
}
BENCHMARK(packed<PackedMatrix<float>>)->Name("gemm_f32_packed")->Apply(shapes);
BENCHMARK(packed<Bf16Matrix>)->Name("gemm_bf16")->Apply(shapes);
BENCHMARK(packed<Int8Matrix>)->Name("gemm_int8")->Apply(shapes);

}  // namespace
}  // namespace qing::bench
