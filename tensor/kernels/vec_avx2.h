// Vec<T> on AVX2 and FMA: 8 floats or 4 doubles. For one translation unit only; see vec_scalar.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace qing::kernels {
namespace {

constexpr bool kScalesByPowers = false;  // whether scale_by_power exists
constexpr int kVectorRegisters = 16;

template <class T> struct Vec;

// Eight ones and eight zeros: a window into them is the mask of the first n lanes.
alignas(32) constexpr int32_t kMask32[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
alignas(32) constexpr int64_t kMask64[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

template <> struct Vec<float> {
  static constexpr int64_t width = 8;
  using Mask = __m256;
  __m256 v;

  static __m256i first(int64_t n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask32 + 8 - n)); }
  static Vec set1(float x) { return {_mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec load_first(const float* p, __m256i lanes) { return {_mm256_maskload_ps(p, lanes)}; }
  static constexpr int64_t kTransposed = 4;
  static void transpose(const float* p, int64_t step, Vec* out);
  static Vec load_partial(const float* p, int64_t n, float fill) {
    const __m256i mask = first(n);
    return {_mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store_partial(float* p, int64_t n) const { _mm256_maskstore_ps(p, first(n), v); }
  float sum() const {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  float max() const {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
};

template <> struct Vec<double> {
  static constexpr int64_t width = 4;
  using Mask = __m256d;
  __m256d v;

  static __m256i first(int64_t n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask64 + 4 - n)); }
  static Vec set1(double x) { return {_mm256_set1_pd(x)}; }
  static Vec load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static Vec load_first(const double* p, __m256i lanes) { return {_mm256_maskload_pd(p, lanes)}; }
  static constexpr int64_t kTransposed = 2;
  static void transpose(const double* p, int64_t step, Vec* out);
  static Vec load_partial(const double* p, int64_t n, double fill) {
    const __m256i mask = first(n);
    return {_mm256_blendv_pd(_mm256_set1_pd(fill), _mm256_maskload_pd(p, mask), _mm256_castsi256_pd(mask))};
  }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
  void store_partial(double* p, int64_t n) const { _mm256_maskstore_pd(p, first(n), v); }
  double sum() const {
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
  }
  double max() const {
    const __m128d s = _mm_max_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_max_sd(s, _mm_unpackhi_pd(s, s)));
  }
};

// out[q] lane l = p[l·step + q]. The 128 bits of a register load every fourth row (for doubles: every second row), so
// that a transposition within them puts the rows in order.
inline void Vec<float>::transpose(const float* p, int64_t step, Vec* out) {
  __m256 r[4];
#pragma GCC unroll 4
  for (int64_t j = 0; j < 4; ++j) {
    const float* q = p + j * step;
    r[j] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(q)), _mm_loadu_ps(q + 4 * step), 1);
  }
  const __m256d t0 = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1]));
  const __m256d t1 = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1]));
  const __m256d t2 = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3]));
  const __m256d t3 = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));
  out[0].v = _mm256_castpd_ps(_mm256_unpacklo_pd(t0, t2));
  out[1].v = _mm256_castpd_ps(_mm256_unpackhi_pd(t0, t2));
  out[2].v = _mm256_castpd_ps(_mm256_unpacklo_pd(t1, t3));
  out[3].v = _mm256_castpd_ps(_mm256_unpackhi_pd(t1, t3));
}
inline void Vec<double>::transpose(const double* p, int64_t step, Vec* out) {
  __m256d r[2];
#pragma GCC unroll 2
  for (int64_t j = 0; j < 2; ++j) {
    const double* q = p + j * step;
    r[j] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(q)), _mm_loadu_pd(q + 2 * step), 1);
  }
  out[0].v = _mm256_unpacklo_pd(r[0], r[1]);
  out[1].v = _mm256_unpackhi_pd(r[0], r[1]);
}

using F = Vec<float>;
using D = Vec<double>;
D load_wide(const double* p) { return D::load(p); }
D load_wide(const float* p) { return {_mm256_cvtps_pd(_mm_loadu_ps(p))}; }
F operator+(F a, F b) { return {_mm256_add_ps(a.v, b.v)}; }
D operator+(D a, D b) { return {_mm256_add_pd(a.v, b.v)}; }
F operator-(F a, F b) { return {_mm256_sub_ps(a.v, b.v)}; }
D operator-(D a, D b) { return {_mm256_sub_pd(a.v, b.v)}; }
F operator*(F a, F b) { return {_mm256_mul_ps(a.v, b.v)}; }
D operator*(D a, D b) { return {_mm256_mul_pd(a.v, b.v)}; }
F operator/(F a, F b) { return {_mm256_div_ps(a.v, b.v)}; }
D operator/(D a, D b) { return {_mm256_div_pd(a.v, b.v)}; }
F fma(F a, F b, F c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
D fma(D a, D b, D c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
F min(F a, F b) { return {_mm256_min_ps(a.v, b.v)}; }
D min(D a, D b) { return {_mm256_min_pd(a.v, b.v)}; }
F max(F a, F b) { return {_mm256_max_ps(a.v, b.v)}; }
D max(D a, D b) { return {_mm256_max_pd(a.v, b.v)}; }
__m256 less(F a, F b) { return _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ); }
__m256d less(D a, D b) { return _mm256_cmp_pd(a.v, b.v, _CMP_LT_OQ); }
__m256 is_nan(F a) { return _mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q); }
__m256d is_nan(D a) { return _mm256_cmp_pd(a.v, a.v, _CMP_UNORD_Q); }
F select(__m256 mask, F a, F b) { return {_mm256_blendv_ps(b.v, a.v, mask)}; }
D select(__m256d mask, D a, D b) { return {_mm256_blendv_pd(b.v, a.v, mask)}; }
F sqrt(F a) { return {_mm256_sqrt_ps(a.v)}; }
D sqrt(D a) { return {_mm256_sqrt_pd(a.v)}; }
F abs(F a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), a.v)}; }
D abs(D a) { return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v)}; }
F add_exponent(F a, F t) {
  const __m256i shifted = _mm256_slli_epi32(_mm256_castps_si256(t.v), 23);
  return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), shifted))};
}
D add_exponent(D a, D t) {
  const __m256i shifted = _mm256_slli_epi64(_mm256_castpd_si256(t.v), 52);
  return {_mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(a.v), shifted))};
}
// Splits a positive normal number m·2^e, 1 ≤ m < 2, into e plus the exponent's bias, and m.
F biased_exponent(F a) { return {_mm256_cvtepi32_ps(_mm256_srli_epi32(_mm256_castps_si256(a.v), 23))}; }
D biased_exponent(D a) {
  // The integer in the low bits of 2^52's significand.
  const __m256d magic = _mm256_set1_pd(4503599627370496.0);
  const __m256i bits = _mm256_or_si256(_mm256_srli_epi64(_mm256_castpd_si256(a.v), 52), _mm256_castpd_si256(magic));
  return {_mm256_sub_pd(_mm256_castsi256_pd(bits), magic)};
}
F significand(F a) {
  const __m256i low = _mm256_and_si256(_mm256_castps_si256(a.v), _mm256_set1_epi32(0x007FFFFF));
  return {_mm256_or_ps(_mm256_castsi256_ps(low), _mm256_set1_ps(1))};
}
D significand(D a) {
  const __m256i low = _mm256_and_si256(_mm256_castpd_si256(a.v), _mm256_set1_epi64x(0x000FFFFFFFFFFFFF));
  return {_mm256_or_pd(_mm256_castsi256_pd(low), _mm256_set1_pd(1))};
}
F operator-(F a) { return {_mm256_xor_ps(_mm256_set1_ps(-0.0F), a.v)}; }
D operator-(D a) { return {_mm256_xor_pd(_mm256_set1_pd(-0.0), a.v)}; }
F floor(F a) { return {_mm256_floor_ps(a.v)}; }
D floor(D a) { return {_mm256_floor_pd(a.v)}; }
F ceil(F a) { return {_mm256_ceil_ps(a.v)}; }
D ceil(D a) { return {_mm256_ceil_pd(a.v)}; }
F trunc(F a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
D trunc(D a) { return {_mm256_round_pd(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
F round_half_even(F a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
D round_half_even(D a) { return {_mm256_round_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

// Transposes a square block: first within halves of 128 bits, then the halves.
void transpose(F (&r)[8]) {
  for (int g = 0; g < 8; g += 4) {
    const __m256 a = _mm256_unpacklo_ps(r[g].v, r[g + 1].v), b = _mm256_unpackhi_ps(r[g].v, r[g + 1].v);
    const __m256 c = _mm256_unpacklo_ps(r[g + 2].v, r[g + 3].v), d = _mm256_unpackhi_ps(r[g + 2].v, r[g + 3].v);
    r[g].v = _mm256_shuffle_ps(a, c, 0x44);
    r[g + 1].v = _mm256_shuffle_ps(a, c, 0xEE);
    r[g + 2].v = _mm256_shuffle_ps(b, d, 0x44);
    r[g + 3].v = _mm256_shuffle_ps(b, d, 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    const __m256 top = r[i].v, bottom = r[i + 4].v;
    r[i].v = _mm256_permute2f128_ps(top, bottom, 0x20);
    r[i + 4].v = _mm256_permute2f128_ps(top, bottom, 0x31);
  }
}
void transpose(D (&r)[4]) {
  for (int g = 0; g < 4; g += 2) {
    const __m256d a = _mm256_unpacklo_pd(r[g].v, r[g + 1].v), b = _mm256_unpackhi_pd(r[g].v, r[g + 1].v);
    r[g].v = a;
    r[g + 1].v = b;
  }
  for (int i = 0; i < 2; ++i) {
    const __m256d top = r[i].v, bottom = r[i + 2].v;
    r[i].v = _mm256_permute2f128_pd(top, bottom, 0x20);
    r[i + 2].v = _mm256_permute2f128_pd(top, bottom, 0x31);
  }
}

// Lanes of 32 bits, for random numbers.
struct Words {
  static constexpr int width = 8;
  __m256i v;

  static Words set1(uint32_t x) { return {_mm256_set1_epi32(static_cast<int>(x))}; }
  static Words load(const uint32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  void store(uint32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
};
Words operator^(Words a, Words b) { return {_mm256_xor_si256(a.v, b.v)}; }
struct WideProduct {
  Words high, low;
};
// b has the same value in all lanes. The instruction multiplies only every second lane.
WideProduct wide_product(Words a, Words b) {
  const __m256i even = _mm256_mul_epu32(a.v, b.v), odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), b.v);
  return {{_mm256_blend_epi32(_mm256_shuffle_epi32(even, 0xB1), odd, 0xAA)},
          {_mm256_blend_epi32(even, _mm256_shuffle_epi32(odd, 0xB1), 0xAA)}};
}

}  // namespace
}  // namespace qing::kernels
