#include "fma_peak.h"

#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace qing::bench {
namespace {

constexpr int64_t kIterations = 4'000'000;
constexpr int kChains = 12;  // independent sums: more than latency times throughput of any FMA unit

__attribute__((target("avx512f"))) float chains_avx512(float seed) {
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(seed + static_cast<float>(i));
  const __m512 x = _mm512_set1_ps(0.999F), y = _mm512_set1_ps(1e-3F);
  for (int64_t n = 0; n < kIterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = _mm512_fmadd_ps(sum[i], x, y);
  }
  for (int i = 1; i < kChains; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx2,fma"))) float chains_avx2(float seed) {
  __m256 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm256_set1_ps(seed + static_cast<float>(i));
  const __m256 x = _mm256_set1_ps(0.999F), y = _mm256_set1_ps(1e-3F);
  for (int64_t n = 0; n < kIterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = _mm256_fmadd_ps(sum[i], x, y);
  }
  for (int i = 1; i < kChains; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  return _mm256_cvtss_f32(sum[0]);
}

}  // namespace

double fma_peak_gflops(int threads) {
  const bool wide = __builtin_cpu_supports("avx512f") != 0;
  const double flops = 2.0 * (wide ? 16 : 8) * kChains * static_cast<double>(kIterations) * threads;
  double best = 0;
  float sink = 0;  // used below, so that nothing is optimised away
  for (int run = 0; run < 7; ++run) {
    const auto start = std::chrono::steady_clock::now();
#pragma omp parallel num_threads(threads)
    {
      const float value = wide ? chains_avx512(0.5F) : chains_avx2(0.5F);
#pragma omp atomic
      sink += value;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, flops / seconds / 1e9);
  }
  return sink > 0 ? best : 0;
}

}  // namespace qing::bench
