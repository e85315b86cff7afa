// f32 matrix products: qing beside Eigen and oneDNN, as GFLOP/s and as a share of this machine's FMA peak, measured in
// the same run. QING_THREADS sets the threads of all of them, QING_ISA qing's instruction set.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <cstdio>
#include <string>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

#include "fma_peak.h"
#include "peers.h"

namespace qing::bench {
namespace {

struct Shape {
  int64_t m, n, k;
};
// The square of the acceptance test, then the encoder's products for a batch of 2,000 tokens, and odd sizes.
constexpr Shape kShapes[] = {{1024, 1024, 1024}, {512, 512, 512}, {2000, 128, 128}, {2000, 512, 128},
                             {2000, 128, 512},   {128, 512, 2000}, {37, 29, 31},    {1001, 999, 501}};

double peak = 0;

void qing_gemm(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  gemm<float>(Trans::no, Trans::no, m, n, k, a, k, b, n, c, n);
}

void run(benchmark::State& state, Sgemm sgemm, Shape s) {
  Generator rng(1);
  Tensor a = Tensor::empty({s.m, s.k}), b = Tensor::empty({s.k, s.n}), c = Tensor::zeros({s.m, s.n});
  rng.fill_uniform(a, -1, 1);
  rng.fill_uniform(b, -1, 1);
  for (auto _ : state) {
    sgemm(s.m, s.n, s.k, a.data<float>(), b.data<float>(), c.data<float>());
    benchmark::ClobberMemory();
  }
  const double flops = 2e-9 * static_cast<double>(s.m * s.n * s.k) * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(flops, benchmark::Counter::kIsRate);
  state.counters["of_peak"] = benchmark::Counter(flops / peak, benchmark::Counter::kIsRate);
}

void add(const char* name, Sgemm sgemm, Shape s) {
  const std::string label = std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k) + "/" + name;
  benchmark::RegisterBenchmark(label.c_str(), run, sgemm, s)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace qing::bench

int main(int argc, char** argv) {
  using namespace qing;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const int threads = num_threads();
  omp_set_num_threads(threads);
  bench::peak = bench::fma_peak_gflops(threads);
  std::printf("FMA peak of %d threads: %.1f GFLOP/s; qing uses %s\n", threads, bench::peak,
              kernels::name_of(kernels::active_isa()));
  for (const bench::Shape& s : bench::kShapes) {
    bench::add("qing", bench::qing_gemm, s);
    if (__builtin_cpu_supports("avx512f") != 0) {
      bench::add("eigen_avx512", bench::eigen_avx512, s);
    } else {
      bench::add("eigen_avx2", bench::eigen_avx2, s);
    }
#ifdef QING_HAVE_ONEDNN
    bench::add("onednn", bench::onednn, s);
#endif
  }
  benchmark::RunSpecifiedBenchmarks();
}
