// Other libraries' C = A·B, row-major f32, on as many threads as they are told.
#pragma once

#include <cstdint>

namespace qing::bench {

using Sgemm = void (*)(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c);

void eigen_avx2(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c);
void eigen_avx512(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c);
void onednn(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c);

}  // namespace qing::bench
