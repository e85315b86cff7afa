// Vec<T> on AVX-512 (F, BW, VL, DQ): 16 floats or 8 doubles. For one translation unit only; see vec_scalar.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace qing::kernels {
namespace {

constexpr bool kScalesByPowers = true;  // whether scale_by_power exists
constexpr int kVectorRegisters = 32;

template <class T> struct Vec;

template <> struct Vec<float> {
  static constexpr int64_t width = 16;
  using Mask = __mmask16;
  __m512 v;

  static __mmask16 first(int64_t n) { return static_cast<__mmask16>((1U << n) - 1); }
  static Vec set1(float x) { return {_mm512_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec load_first(const float* p, __mmask16 lanes) { return {_mm512_maskz_loadu_ps(lanes, p)}; }
  static constexpr int64_t kTransposed = 4;
  static void transpose(const float* p, int64_t step, Vec* out);
  static Vec load_partial(const float* p, int64_t n, float fill) {
    return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(n), p)};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_partial(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, first(n), v); }
  float sum() const { return _mm512_reduce_add_ps(v); }
  float max() const { return _mm512_reduce_max_ps(v); }
};

template <> struct Vec<double> {
  static constexpr int64_t width = 8;
  using Mask = __mmask8;
  __m512d v;

  static __mmask8 first(int64_t n) { return static_cast<__mmask8>((1U << n) - 1); }
  static Vec set1(double x) { return {_mm512_set1_pd(x)}; }
  static Vec load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static Vec load_first(const double* p, __mmask8 lanes) { return {_mm512_maskz_loadu_pd(lanes, p)}; }
  static constexpr int64_t kTransposed = 2;
  static void transpose(const double* p, int64_t step, Vec* out);
  static Vec load_partial(const double* p, int64_t n, double fill) {
    return {_mm512_mask_loadu_pd(_mm512_set1_pd(fill), first(n), p)};
  }
  void store(double* p) const { _mm512_storeu_pd(p, v); }
  void store_partial(double* p, int64_t n) const { _mm512_mask_storeu_pd(p, first(n), v); }
  double sum() const { return _mm512_reduce_add_pd(v); }
  double max() const { return _mm512_reduce_max_pd(v); }
};

// out[q] lane l = p[l·step + q]. Each 128 bits load every fourth row (for doubles: every second row), so that a
// transposition within them puts the rows in order.
inline void Vec<float>::transpose(const float* p, int64_t step, Vec* out) {
  __m512 r[4];
#pragma GCC unroll 4
  for (int64_t j = 0; j < 4; ++j) {
    const float* q = p + j * step;
    r[j] = _mm512_castps128_ps512(_mm_loadu_ps(q));
    r[j] = _mm512_insertf32x4(r[j], _mm_loadu_ps(q + 4 * step), 1);
    r[j] = _mm512_insertf32x4(r[j], _mm_loadu_ps(q + 8 * step), 2);
    r[j] = _mm512_insertf32x4(r[j], _mm_loadu_ps(q + 12 * step), 3);
  }
  const __m512d t0 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
  const __m512d t1 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
  const __m512d t2 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
  const __m512d t3 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
  out[0].v = _mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2));
  out[1].v = _mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2));
  out[2].v = _mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3));
  out[3].v = _mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3));
}
inline void Vec<double>::transpose(const double* p, int64_t step, Vec* out) {
  __m512d r[2];
#pragma GCC unroll 2
  for (int64_t j = 0; j < 2; ++j) {
    const double* q = p + j * step;
    r[j] = _mm512_castpd128_pd512(_mm_loadu_pd(q));
    r[j] = _mm512_insertf64x2(r[j], _mm_loadu_pd(q + 2 * step), 1);
    r[j] = _mm512_insertf64x2(r[j], _mm_loadu_pd(q + 4 * step), 2);
    r[j] = _mm512_insertf64x2(r[j], _mm_loadu_pd(q + 6 * step), 3);
  }
  out[0].v = _mm512_unpacklo_pd(r[0], r[1]);
  out[1].v = _mm512_unpackhi_pd(r[0], r[1]);
}

using F = Vec<float>;
using D = Vec<double>;
D load_wide(const double* p) { return D::load(p); }
D load_wide(const float* p) { return {_mm512_cvtps_pd(_mm256_loadu_ps(p))}; }
F operator+(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
D operator+(D a, D b) { return {_mm512_add_pd(a.v, b.v)}; }
F operator-(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
D operator-(D a, D b) { return {_mm512_sub_pd(a.v, b.v)}; }
F operator*(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
D operator*(D a, D b) { return {_mm512_mul_pd(a.v, b.v)}; }
F operator/(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
D operator/(D a, D b) { return {_mm512_div_pd(a.v, b.v)}; }
F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
D fma(D a, D b, D c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
D min(D a, D b) { return {_mm512_min_pd(a.v, b.v)}; }
F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
D max(D a, D b) { return {_mm512_max_pd(a.v, b.v)}; }
__mmask16 less(F a, F b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
__mmask8 less(D a, D b) { return _mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ); }
__mmask16 is_nan(F a) { return _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q); }
__mmask8 is_nan(D a) { return _mm512_cmp_pd_mask(a.v, a.v, _CMP_UNORD_Q); }
F select(__mmask16 mask, F a, F b) { return {_mm512_mask_blend_ps(mask, b.v, a.v)}; }
D select(__mmask8 mask, D a, D b) { return {_mm512_mask_blend_pd(mask, b.v, a.v)}; }
F sqrt(F a) { return {_mm512_sqrt_ps(a.v)}; }
D sqrt(D a) { return {_mm512_sqrt_pd(a.v)}; }
F abs(F a) { return {_mm512_abs_ps(a.v)}; }
D abs(D a) { return {_mm512_abs_pd(a.v)}; }
// a·2^k for an integer k. Overflow gives infinity and underflow 0.
F scale_by_power(F a, F k) { return {_mm512_scalef_ps(a.v, k.v)}; }
D scale_by_power(D a, D k) { return {_mm512_scalef_pd(a.v, k.v)}; }
F add_exponent(F a, F t) {
  const __m512i shifted = _mm512_slli_epi32(_mm512_castps_si512(t.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), shifted))};
}
D add_exponent(D a, D t) {
  const __m512i shifted = _mm512_slli_epi64(_mm512_castpd_si512(t.v), 52);
  return {_mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(a.v), shifted))};
}
// Splits a positive normal number m·2^e, 1 ≤ m < 2, into e plus the exponent's bias, and m.
F biased_exponent(F a) { return {_mm512_cvtepi32_ps(_mm512_srli_epi32(_mm512_castps_si512(a.v), 23))}; }
D biased_exponent(D a) {
  // The integer in the low bits of 2^52's significand.
  const __m512d magic = _mm512_set1_pd(4503599627370496.0);
  const __m512i bits = _mm512_or_si512(_mm512_srli_epi64(_mm512_castpd_si512(a.v), 52), _mm512_castpd_si512(magic));
  return {_mm512_sub_pd(_mm512_castsi512_pd(bits), magic)};
}
F significand(F a) {
  const __m512i low = _mm512_and_si512(_mm512_castps_si512(a.v), _mm512_set1_epi32(0x007FFFFF));
  return {_mm512_or_ps(_mm512_castsi512_ps(low), _mm512_set1_ps(1))};
}
D significand(D a) {
  const __m512i low = _mm512_and_si512(_mm512_castpd_si512(a.v), _mm512_set1_epi64(0x000FFFFFFFFFFFFF));
  return {_mm512_or_pd(_mm512_castsi512_pd(low), _mm512_set1_pd(1))};
}
F operator-(F a) { return {_mm512_xor_ps(_mm512_set1_ps(-0.0F), a.v)}; }
D operator-(D a) { return {_mm512_xor_pd(_mm512_set1_pd(-0.0), a.v)}; }
F floor(F a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
D floor(D a) { return {_mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
F ceil(F a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
D ceil(D a) { return {_mm512_roundscale_pd(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
F trunc(F a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
D trunc(D a) { return {_mm512_roundscale_pd(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
F round_half_even(F a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
D round_half_even(D a) { return {_mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

// Transposes a square block: first within quarters of 128 bits, then the quarters.
[[gnu::always_inline]] inline void transpose(F (&r)[16]) {
#pragma GCC unroll 4
  for (int g = 0; g < 16; g += 4) {
    const __m512 a = _mm512_unpacklo_ps(r[g].v, r[g + 1].v), b = _mm512_unpackhi_ps(r[g].v, r[g + 1].v);
    const __m512 c = _mm512_unpacklo_ps(r[g + 2].v, r[g + 3].v), d = _mm512_unpackhi_ps(r[g + 2].v, r[g + 3].v);
    r[g].v = _mm512_shuffle_ps(a, c, 0x44);
    r[g + 1].v = _mm512_shuffle_ps(a, c, 0xEE);
    r[g + 2].v = _mm512_shuffle_ps(b, d, 0x44);
    r[g + 3].v = _mm512_shuffle_ps(b, d, 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512 even = _mm512_shuffle_f32x4(r[i].v, r[i + 4].v, 0x88),
                 odd = _mm512_shuffle_f32x4(r[i].v, r[i + 4].v, 0xDD);
    const __m512 even2 = _mm512_shuffle_f32x4(r[i + 8].v, r[i + 12].v, 0x88),
                 odd2 = _mm512_shuffle_f32x4(r[i + 8].v, r[i + 12].v, 0xDD);
    r[i].v = _mm512_shuffle_f32x4(even, even2, 0x88);
    r[i + 4].v = _mm512_shuffle_f32x4(odd, odd2, 0x88);
    r[i + 8].v = _mm512_shuffle_f32x4(even, even2, 0xDD);
    r[i + 12].v = _mm512_shuffle_f32x4(odd, odd2, 0xDD);
  }
}
[[gnu::always_inline]] inline void transpose(D (&r)[8]) {
#pragma GCC unroll 4
  for (int g = 0; g < 8; g += 2) {
    const __m512d a = _mm512_unpacklo_pd(r[g].v, r[g + 1].v), b = _mm512_unpackhi_pd(r[g].v, r[g + 1].v);
    r[g].v = a;
    r[g + 1].v = b;
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const __m512d even = _mm512_shuffle_f64x2(r[i].v, r[i + 2].v, 0x88),
                  odd = _mm512_shuffle_f64x2(r[i].v, r[i + 2].v, 0xDD);
    const __m512d even2 = _mm512_shuffle_f64x2(r[i + 4].v, r[i + 6].v, 0x88),
                  odd2 = _mm512_shuffle_f64x2(r[i + 4].v, r[i + 6].v, 0xDD);
    r[i].v = _mm512_shuffle_f64x2(even, even2, 0x88);
    r[i + 2].v = _mm512_shuffle_f64x2(odd, odd2, 0x88);
    r[i + 4].v = _mm512_shuffle_f64x2(even, even2, 0xDD);
    r[i + 6].v = _mm512_shuffle_f64x2(odd, odd2, 0xDD);
  }
}

// Lanes of 32 bits, for random numbers.
struct Words {
  static constexpr int width = 16;
  __m512i v;

  static Words set1(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  static Words load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(uint32_t* p) const { _mm512_storeu_si512(p, v); }
};
Words operator^(Words a, Words b) { return {_mm512_xor_si512(a.v, b.v)}; }
struct WideProduct {
  Words high, low;
};
// b has the same value in all lanes. The instruction multiplies only every second lane.
WideProduct wide_product(Words a, Words b) {
  const __m512i even = _mm512_mul_epu32(a.v, b.v), odd = _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), b.v);
  return {{_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_CDAB)},
          {_mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CDAB)}};
}

}  // namespace
}  // namespace qing::kernels
