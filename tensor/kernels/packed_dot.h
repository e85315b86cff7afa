// GroupWords: a register of 32-bit words that hold two bf16 or four bytes each, with the sums of their products. It
// uses the instruction set of the including unit and is only for that unit, which includes its Vec before; see
// vec_scalar.h. A Vec<float> has as many lanes.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <cstdint>

namespace qing::kernels {
namespace {

#if defined(__AVX512BW__)

struct GroupWords {
  static constexpr int64_t width = 16;
  __m512i v;
  static GroupWords zero() { return {_mm512_setzero_si512()}; }
  static GroupWords set1(int32_t x) { return {_mm512_set1_epi32(x)}; }
  static GroupWords load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
  Vec<float> converted() const { return {_mm512_cvtepi32_ps(v)}; }  // integers
  Vec<float> floats() const { return {_mm512_castsi512_ps(v)}; }    // the same bits
};
GroupWords operator-(GroupWords a, GroupWords b) { return {_mm512_sub_epi32(a.v, b.v)}; }
// 128 + x rounded to the nearest integer, ties to even, for |x| ≤ 127.
void store_bytes(Vec<float> x, uint8_t* p) {
  const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x.v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_xor_si128(bytes, _mm_set1_epi8(-128)));
}

#if defined(__AVX512VNNI__)
GroupWords add_bytes(GroupWords sum, GroupWords a, GroupWords b) { return {_mm512_dpbusd_epi32(sum.v, a.v, b.v)}; }
#else
// The bytes at even and odd positions as 16-bit numbers. Their products, and sums of two, fit into 32 bits without
// saturation.
GroupWords add_bytes(GroupWords sum, GroupWords a, GroupWords b) {
  const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(b.v, 8), 8), odd = _mm512_srai_epi16(b.v, 8);
  const __m512i a_even = _mm512_and_si512(a.v, _mm512_set1_epi16(0xFF)), a_odd = _mm512_srli_epi16(a.v, 8);
  const __m512i products = _mm512_add_epi32(_mm512_madd_epi16(a_even, even), _mm512_madd_epi16(a_odd, odd));
  return {_mm512_add_epi32(sum.v, products)};
}
#endif

#if defined(__AVX512BF16__)
GroupWords add_bf16(GroupWords sum, GroupWords a, GroupWords b) {
  return {_mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sum.v), __m512bh(a.v), __m512bh(b.v)))};
}
// Rounded to bf16, to nearest even. Denormals become 0.
void store_bf16(Vec<float> x, uint16_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), __m256i(_mm512_cvtneps_pbh(x.v)));
}
// The same of the first n.
void store_bf16_partial(Vec<float> x, uint16_t* p, int64_t n) {
  _mm256_mask_storeu_epi16(p, Vec<float>::first(n), __m256i(_mm512_cvtneps_pbh(x.v)));
}
// Words of both, rounded in this way: x in the lower halves, y in the upper ones.
GroupWords bf16_words(Vec<float> x, Vec<float> y) {
  const __m512i halves = __m512i(_mm512_cvtne2ps_pbh(y.v, x.v));  // those of x, then those of y
  const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(halves)),
                high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(halves, 1));
  return {_mm512_or_si512(low, _mm512_slli_epi32(high, 16))};
}
#else
GroupWords add_bf16(GroupWords sum, GroupWords a, GroupWords b) {
  const __m512i high = _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000));
  const auto first = [](__m512i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16)); };
  const auto second = [&](__m512i x) { return _mm512_castsi512_ps(_mm512_and_si512(x, high)); };
  const __m512 half = _mm512_fmadd_ps(first(a.v), first(b.v), _mm512_castsi512_ps(sum.v));
  return {_mm512_castps_si512(_mm512_fmadd_ps(second(a.v), second(b.v), half))};
}
#endif

#elif defined(__AVX2__)

struct GroupWords {
  static constexpr int64_t width = 8;
  __m256i v;
  static GroupWords zero() { return {_mm256_setzero_si256()}; }
  static GroupWords set1(int32_t x) { return {_mm256_set1_epi32(x)}; }
  static GroupWords load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  void store(int32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  Vec<float> converted() const { return {_mm256_cvtepi32_ps(v)}; }
  Vec<float> floats() const { return {_mm256_castsi256_ps(v)}; }
};
GroupWords operator-(GroupWords a, GroupWords b) { return {_mm256_sub_epi32(a.v, b.v)}; }
void store_bytes(Vec<float> x, uint8_t* p) {
  const __m256i words = _mm256_cvtps_epi32(x.v);
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  const __m128i bytes = _mm_xor_si128(_mm_packs_epi16(halves, halves), _mm_set1_epi8(-128));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
}

// The same as for AVX-512 without VNNI.
GroupWords add_bytes(GroupWords sum, GroupWords a, GroupWords b) {
  const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(b.v, 8), 8), odd = _mm256_srai_epi16(b.v, 8);
  const __m256i a_even = _mm256_and_si256(a.v, _mm256_set1_epi16(0xFF)), a_odd = _mm256_srli_epi16(a.v, 8);
  const __m256i products = _mm256_add_epi32(_mm256_madd_epi16(a_even, even), _mm256_madd_epi16(a_odd, odd));
  return {_mm256_add_epi32(sum.v, products)};
}

GroupWords add_bf16(GroupWords sum, GroupWords a, GroupWords b) {
  const __m256i high = _mm256_set1_epi32(static_cast<int32_t>(0xFFFF0000));
  const auto first = [](__m256i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16)); };
  const auto second = [&](__m256i x) { return _mm256_castsi256_ps(_mm256_and_si256(x, high)); };
  const __m256 half = _mm256_fmadd_ps(first(a.v), first(b.v), _mm256_castsi256_ps(sum.v));
  return {_mm256_castps_si256(_mm256_fmadd_ps(second(a.v), second(b.v), half))};
}

#else

struct GroupWords {
  static constexpr int64_t width = 1;
  int32_t v;
  static GroupWords zero() { return {0}; }
  static GroupWords set1(int32_t x) { return {x}; }
  static GroupWords load(const int32_t* p) { return {*p}; }
  void store(int32_t* p) const { *p = v; }
  Vec<float> converted() const { return {static_cast<float>(v)}; }
  Vec<float> floats() const { return {__builtin_bit_cast(float, v)}; }
};
GroupWords operator-(GroupWords a, GroupWords b) { return {a.v - b.v}; }
// Adding 1.5·2^23 rounds to an integer in the low bits.
void store_bytes(Vec<float> x, uint8_t* p) {
  *p = static_cast<uint8_t>(__builtin_bit_cast(uint32_t, x.v + 12582912.0F) + 128);
}

GroupWords add_bytes(GroupWords sum, GroupWords a, GroupWords b) {
  for (int i = 0; i < 4; ++i) { sum.v += static_cast<uint8_t>(a.v >> (8 * i)) * static_cast<int8_t>(b.v >> (8 * i)); }
  return sum;
}

GroupWords add_bf16(GroupWords sum, GroupWords a, GroupWords b) {
  const auto value = [](uint32_t bits) { return __builtin_bit_cast(float, bits); };
  const uint32_t x = static_cast<uint32_t>(a.v), y = static_cast<uint32_t>(b.v);
  const float half = __builtin_bit_cast(float, sum.v) + value(x << 16) * value(y << 16);
  return {__builtin_bit_cast(int32_t, half + value(x & 0xFFFF0000U) * value(y & 0xFFFF0000U))};
}

#endif

}  // namespace
}  // namespace qing::kernels
