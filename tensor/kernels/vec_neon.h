// Vec<T> on NEON (AArch64): 4 floats or 2 doubles. For one translation unit only; see vec_scalar.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace qing::kernels {
namespace {

constexpr bool kScalesByPowers = false;  // whether scale_by_power exists
constexpr int kVectorRegisters = 32;

template <class T> struct Vec;

template <> struct Vec<float> {
  static constexpr int64_t width = 4;
  using Mask = uint32x4_t;
  float32x4_t v;

  static Vec set1(float x) { return {vdupq_n_f32(x)}; }
  static Vec load(const float* p) { return {vld1q_f32(p)}; }
  static int64_t first(int64_t n) { return n; }
  static Vec load_first(const float* p, int64_t lanes) { return load_partial(p, lanes, 0); }
  static constexpr int64_t kTransposed = 4;
  static void transpose(const float* p, int64_t step, Vec* out);
  static Vec load_partial(const float* p, int64_t n, float fill) {
    float lanes[width] = {fill, fill, fill, fill};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  void store(float* p) const { vst1q_f32(p, v); }
  void store_partial(float* p, int64_t n) const {
    float lanes[width];
    store(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  float sum() const { return vaddvq_f32(v); }
  float max() const { return vmaxvq_f32(v); }
};

template <> struct Vec<double> {
  static constexpr int64_t width = 2;
  using Mask = uint64x2_t;
  float64x2_t v;

  static Vec set1(double x) { return {vdupq_n_f64(x)}; }
  static Vec load(const double* p) { return {vld1q_f64(p)}; }
  static int64_t first(int64_t n) { return n; }
  static Vec load_first(const double* p, int64_t lanes) { return load_partial(p, lanes, 0); }
  static constexpr int64_t kTransposed = 2;
  static void transpose(const double* p, int64_t step, Vec* out);
  static Vec load_partial(const double* p, int64_t n, double fill) {
    double lanes[width] = {fill, fill};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  void store(double* p) const { vst1q_f64(p, v); }
  void store_partial(double* p, int64_t n) const {
    double lanes[width];
    store(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  double sum() const { return vaddvq_f64(v); }
  double max() const { return vmaxvq_f64(v); }
};

// out[q] has element q of each line. The distance of the lines is `step`.
inline void Vec<float>::transpose(const float* p, int64_t step, Vec* out) {
  const float32x4x2_t top = vtrnq_f32(vld1q_f32(p), vld1q_f32(p + step));
  const float32x4x2_t bottom = vtrnq_f32(vld1q_f32(p + 2 * step), vld1q_f32(p + 3 * step));
  for (int q = 0; q < 2; ++q) {
    out[q] = {vcombine_f32(vget_low_f32(top.val[q]), vget_low_f32(bottom.val[q]))};
    out[q + 2] = {vcombine_f32(vget_high_f32(top.val[q]), vget_high_f32(bottom.val[q]))};
  }
}
inline void Vec<double>::transpose(const double* p, int64_t step, Vec* out) {
  const float64x2_t top = vld1q_f64(p), bottom = vld1q_f64(p + step);
  out[0] = {vzip1q_f64(top, bottom)};
  out[1] = {vzip2q_f64(top, bottom)};
}

using F = Vec<float>;
using D = Vec<double>;
D load_wide(const double* p) { return D::load(p); }
D load_wide(const float* p) { return {vcvt_f64_f32(vld1_f32(p))}; }
F operator+(F a, F b) { return {vaddq_f32(a.v, b.v)}; }
D operator+(D a, D b) { return {vaddq_f64(a.v, b.v)}; }
F operator-(F a, F b) { return {vsubq_f32(a.v, b.v)}; }
D operator-(D a, D b) { return {vsubq_f64(a.v, b.v)}; }
F operator*(F a, F b) { return {vmulq_f32(a.v, b.v)}; }
D operator*(D a, D b) { return {vmulq_f64(a.v, b.v)}; }
F operator/(F a, F b) { return {vdivq_f32(a.v, b.v)}; }
D operator/(D a, D b) { return {vdivq_f64(a.v, b.v)}; }
F fma(F a, F b, F c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
D fma(D a, D b, D c) { return {vfmaq_f64(c.v, a.v, b.v)}; }
uint32x4_t less(F a, F b) { return vcltq_f32(a.v, b.v); }
uint64x2_t less(D a, D b) { return vcltq_f64(a.v, b.v); }
uint32x4_t is_nan(F a) { return vmvnq_u32(vceqq_f32(a.v, a.v)); }
uint64x2_t is_nan(D a) { return veorq_u64(vceqq_f64(a.v, a.v), vdupq_n_u64(~uint64_t{0})); }
F select(uint32x4_t mask, F a, F b) { return {vbslq_f32(mask, a.v, b.v)}; }
D select(uint64x2_t mask, D a, D b) { return {vbslq_f64(mask, a.v, b.v)}; }
// Returns the second operand when one is NaN, like the SSE instructions.
F min(F a, F b) { return select(less(a, b), a, b); }
D min(D a, D b) { return select(less(a, b), a, b); }
F max(F a, F b) { return select(less(b, a), a, b); }
D max(D a, D b) { return select(less(b, a), a, b); }
F sqrt(F a) { return {vsqrtq_f32(a.v)}; }
D sqrt(D a) { return {vsqrtq_f64(a.v)}; }
F abs(F a) { return {vabsq_f32(a.v)}; }
D abs(D a) { return {vabsq_f64(a.v)}; }
F add_exponent(F a, F t) {
  const uint32x4_t shifted = vshlq_n_u32(vreinterpretq_u32_f32(t.v), 23);
  return {vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a.v), shifted))};
}
D add_exponent(D a, D t) {
  const uint64x2_t shifted = vshlq_n_u64(vreinterpretq_u64_f64(t.v), 52);
  return {vreinterpretq_f64_u64(vaddq_u64(vreinterpretq_u64_f64(a.v), shifted))};
}
// Splits a positive normal number m·2^e, 1 ≤ m < 2, into e plus the exponent's bias, and m.
F biased_exponent(F a) { return {vcvtq_f32_u32(vshrq_n_u32(vreinterpretq_u32_f32(a.v), 23))}; }
D biased_exponent(D a) { return {vcvtq_f64_u64(vshrq_n_u64(vreinterpretq_u64_f64(a.v), 52))}; }
F significand(F a) {
  const uint32x4_t low = vandq_u32(vreinterpretq_u32_f32(a.v), vdupq_n_u32(0x007FFFFF));
  return {vreinterpretq_f32_u32(vorrq_u32(low, vreinterpretq_u32_f32(vdupq_n_f32(1))))};
}
D significand(D a) {
  const uint64x2_t low = vandq_u64(vreinterpretq_u64_f64(a.v), vdupq_n_u64(0x000FFFFFFFFFFFFF));
  return {vreinterpretq_f64_u64(vorrq_u64(low, vreinterpretq_u64_f64(vdupq_n_f64(1))))};
}
F operator-(F a) { return {vnegq_f32(a.v)}; }
D operator-(D a) { return {vnegq_f64(a.v)}; }
F floor(F a) { return {vrndmq_f32(a.v)}; }
D floor(D a) { return {vrndmq_f64(a.v)}; }
F ceil(F a) { return {vrndpq_f32(a.v)}; }
D ceil(D a) { return {vrndpq_f64(a.v)}; }
F trunc(F a) { return {vrndq_f32(a.v)}; }
D trunc(D a) { return {vrndq_f64(a.v)}; }
F round_half_even(F a) { return {vrndnq_f32(a.v)}; }
D round_half_even(D a) { return {vrndnq_f64(a.v)}; }

// Transposes a square block: first pairs of lanes, then halves.
void transpose(F (&r)[4]) {
  const float32x4_t a = vtrn1q_f32(r[0].v, r[1].v), b = vtrn2q_f32(r[0].v, r[1].v);
  const float32x4_t c = vtrn1q_f32(r[2].v, r[3].v), d = vtrn2q_f32(r[2].v, r[3].v);
  r[0].v = vcombine_f32(vget_low_f32(a), vget_low_f32(c));
  r[1].v = vcombine_f32(vget_low_f32(b), vget_low_f32(d));
  r[2].v = vcombine_f32(vget_high_f32(a), vget_high_f32(c));
  r[3].v = vcombine_f32(vget_high_f32(b), vget_high_f32(d));
}
void transpose(D (&r)[2]) {
  const float64x2_t a = vtrn1q_f64(r[0].v, r[1].v), b = vtrn2q_f64(r[0].v, r[1].v);
  r[0].v = a;
  r[1].v = b;
}

// Lanes of 32 bits, for random numbers.
struct Words {
  static constexpr int width = 4;
  uint32x4_t v;

  static Words set1(uint32_t x) { return {vdupq_n_u32(x)}; }
  static Words load(const uint32_t* p) { return {vld1q_u32(p)}; }
  void store(uint32_t* p) const { vst1q_u32(p, v); }
};
Words operator^(Words a, Words b) { return {veorq_u32(a.v, b.v)}; }
struct WideProduct {
  Words high, low;
};
WideProduct wide_product(Words a, Words b) {
  const uint32x4_t first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.v), vget_low_u32(b.v)));
  const uint32x4_t second = vreinterpretq_u32_u64(vmull_high_u32(a.v, b.v));
  return {{vuzp2q_u32(first, second)}, {vuzp1q_u32(first, second)}};
}

}  // namespace
}  // namespace qing::kernels
