#include <qing/tensor/dtype.h>

#include <bit>
#include <cmath>

namespace qing {

size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::f16:
    case DType::bf16: return 2;
    case DType::u8:
    case DType::boolean:
    case DType::i8: return 1;
  }
  return 0;
}

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::f64: return "f64";
    case DType::i32: return "i32";
    case DType::i64: return "i64";
    case DType::u8: return "u8";
    case DType::boolean: return "bool";
    case DType::f16: return "f16";
    case DType::bf16: return "bf16";
    case DType::i8: return "i8";
  }
  return "unknown";
}

float to_float(BFloat16 b) { return std::bit_cast<float>(static_cast<uint32_t>(b.bits) << 16); }

BFloat16 to_bfloat16(float f) {
  const auto bits = std::bit_cast<uint32_t>(f);
  if ((bits & 0x7fffffff) > 0x7f800000) return {static_cast<uint16_t>((bits >> 16) | 0x40)};  // NaN stays NaN
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

float to_float(Half h) {
  const uint32_t sign = static_cast<uint32_t>(h.bits & 0x8000) << 16;
  const uint32_t exponent = (h.bits >> 10) & 0x1f, fraction = h.bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = static_cast<float>(fraction) * 0x1p-24F;  // subnormal, exact
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

Half to_half(float f) {
  const auto bits = std::bit_cast<uint32_t>(f);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  const auto with_sign = [sign](uint32_t value) { return Half{static_cast<uint16_t>(sign | value)}; };
  if (magnitude > 0x7f800000) return with_sign(0x7e00 | ((magnitude >> 13) & 0x3ff));
  if (magnitude >= 0x477ff000) return with_sign(0x7c00);  // 65520 and above round to infinity
  if (magnitude < 0x38800000) {                           // below 2^-14: subnormal
    if (magnitude < 0x33000000) return with_sign(0);      // below 2^-25
    const uint32_t shift = 126 - (magnitude >> 23);       // of the 24-bit significand, to units of 2^-24
    const uint32_t significand = (magnitude & 0x7fffff) | 0x800000;
    const uint32_t half = uint32_t{1} << (shift - 1), rest = significand & ((uint32_t{1} << shift) - 1);
    uint32_t value = significand >> shift;
    if (rest > half || (rest == half && (value & 1) != 0)) ++value;
    return with_sign(value);
  }
  const uint32_t rebased = magnitude - (uint32_t{112} << 23);
  return with_sign((rebased + 0xfff + ((rebased >> 13) & 1)) >> 13);
}

float round_to_odd(double d) {
  const auto nearest = static_cast<float>(d);
  if (static_cast<double>(nearest) == d || std::isnan(d)) return nearest;
  auto bits = std::bit_cast<uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(d)) --bits;  // towards zero
  return std::bit_cast<float>(bits | 1);
}

double round_to_odd(int64_t i) {
  constexpr uint64_t kLost = (uint64_t{1} << 11) - 1;  // of 64 bits, 53 fit
  const uint64_t magnitude = i < 0 ? -static_cast<uint64_t>(i) : static_cast<uint64_t>(i);
  if (magnitude <= (uint64_t{1} << 53)) return static_cast<double>(i);
  const uint64_t odd = (magnitude & ~kLost) | ((magnitude & kLost) != 0 ? kLost + 1 : 0);
  return i < 0 ? -static_cast<double>(odd) : static_cast<double>(odd);
}

Half to_half(double d) { return to_half(round_to_odd(d)); }
BFloat16 to_bfloat16(double d) { return to_bfloat16(round_to_odd(d)); }

}  // namespace qing
