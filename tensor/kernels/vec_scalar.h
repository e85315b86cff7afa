// Vec<T> of one lane: plain C++, for processors without AVX2 and as the reference of the other instruction sets.
// Like its siblings it is meant for one translation unit only: everything has internal linkage, and no header with
// inline functions is included, so that no code compiled for another ISA can be merged with it.
#pragma once

#include <cstdint>

namespace qing::kernels {
namespace {

constexpr bool kScalesByPowers = false;  // whether scale_by_power exists
constexpr int kVectorRegisters = 16;

template <class T> struct BitsOf;
template <> struct BitsOf<float> { using type = uint32_t; };
template <> struct BitsOf<double> { using type = uint64_t; };

template <class T> struct Vec {
  static constexpr int64_t width = 1;
  using Mask = bool;
  T v;

  static Vec set1(T x) { return {x}; }
  static Vec load(const T* p) { return {*p}; }
  static bool first(int64_t n) { return n > 0; }
  static Vec load_first(const T* p, bool any) { return {any ? *p : T(0)}; }
  static constexpr int64_t kTransposed = 1;
  static void transpose(const T* p, int64_t, Vec* out) { *out = {*p}; }
  static Vec load_partial(const T* p, int64_t n, T fill) { return {n > 0 ? *p : fill}; }
  void store(T* p) const { *p = v; }
  void store_partial(T* p, int64_t n) const {
    if (n > 0) *p = v;
  }
  T sum() const { return v; }
  T max() const { return v; }
};

// Converts as many elements to doubles as a vector of doubles has lanes.
template <class T> Vec<double> load_wide(const T* p) { return {static_cast<double>(*p)}; }
template <class T> Vec<T> operator+(Vec<T> a, Vec<T> b) { return {a.v + b.v}; }
template <class T> Vec<T> operator-(Vec<T> a, Vec<T> b) { return {a.v - b.v}; }
template <class T> Vec<T> operator*(Vec<T> a, Vec<T> b) { return {a.v * b.v}; }
template <class T> Vec<T> operator/(Vec<T> a, Vec<T> b) { return {a.v / b.v}; }
template <class T> Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) { return {a.v * b.v + c.v}; }
// Returns the second operand when one is NaN, like the SSE instructions.
template <class T> Vec<T> min(Vec<T> a, Vec<T> b) { return {a.v < b.v ? a.v : b.v}; }
template <class T> Vec<T> max(Vec<T> a, Vec<T> b) { return {a.v > b.v ? a.v : b.v}; }
template <class T> bool less(Vec<T> a, Vec<T> b) { return a.v < b.v; }
template <class T> bool is_nan(Vec<T> a) { return a.v != a.v; }
template <class T> Vec<T> select(bool mask, Vec<T> a, Vec<T> b) { return mask ? a : b; }
Vec<float> sqrt(Vec<float> a) { return {__builtin_sqrtf(a.v)}; }
Vec<double> sqrt(Vec<double> a) { return {__builtin_sqrt(a.v)}; }
Vec<float> abs(Vec<float> a) { return {__builtin_fabsf(a.v)}; }
Vec<double> abs(Vec<double> a) { return {__builtin_fabs(a.v)}; }

// Transposes a square block.
template <class T> void transpose(Vec<T> (&)[1]) {}

// a·2^k, where the low bits of t's significand hold the integer k.
template <class T> Vec<T> add_exponent(Vec<T> a, Vec<T> t) {
  using Bits = typename BitsOf<T>::type;
  constexpr int significand = sizeof(T) == 4 ? 23 : 52;
  return {__builtin_bit_cast(T, __builtin_bit_cast(Bits, a.v) + (__builtin_bit_cast(Bits, t.v) << significand))};
}
// Splits a positive normal number m·2^e, 1 ≤ m < 2, into e plus the exponent's bias, and m.
template <class T> Vec<T> biased_exponent(Vec<T> a) {
  return {static_cast<T>(__builtin_bit_cast(typename BitsOf<T>::type, a.v) >> (sizeof(T) == 4 ? 23 : 52))};
}
template <class T> Vec<T> significand(Vec<T> a) {
  using Bits = typename BitsOf<T>::type;
  constexpr Bits low = (Bits(1) << (sizeof(T) == 4 ? 23 : 52)) - 1;
  return {__builtin_bit_cast(T, (__builtin_bit_cast(Bits, a.v) & low) | __builtin_bit_cast(Bits, T(1)))};
}
template <class T> Vec<T> operator-(Vec<T> a) { return {-a.v}; }
Vec<float> floor(Vec<float> a) { return {__builtin_floorf(a.v)}; }
Vec<double> floor(Vec<double> a) { return {__builtin_floor(a.v)}; }
Vec<float> ceil(Vec<float> a) { return {__builtin_ceilf(a.v)}; }
Vec<double> ceil(Vec<double> a) { return {__builtin_ceil(a.v)}; }
Vec<float> trunc(Vec<float> a) { return {__builtin_truncf(a.v)}; }
Vec<double> trunc(Vec<double> a) { return {__builtin_trunc(a.v)}; }
Vec<float> round_half_even(Vec<float> a) { return {__builtin_rintf(a.v)}; }
Vec<double> round_half_even(Vec<double> a) { return {__builtin_rint(a.v)}; }

// Lanes of 32 bits, for random numbers.
struct Words {
  static constexpr int width = 1;
  uint32_t v;

  static Words set1(uint32_t x) { return {x}; }
  static Words load(const uint32_t* p) { return {*p}; }
  void store(uint32_t* p) const { *p = v; }
};
Words operator^(Words a, Words b) { return {a.v ^ b.v}; }
struct WideProduct {
  Words high, low;
};
WideProduct wide_product(Words a, Words b) {
  const uint64_t product = static_cast<uint64_t>(a.v) * b.v;
  return {{static_cast<uint32_t>(product >> 32)}, {static_cast<uint32_t>(product)}};
}

}  // namespace
}  // namespace qing::kernels
