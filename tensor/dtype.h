// Element types. f32 and f64 are for computing and differentiating; i32, i64, u8 and boolean for indexing; f16, bf16
// and i8 for storage.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qing {

enum class DType : uint8_t { f32, f64, i32, i64, u8, boolean, f16, bf16, i8 };

/// IEEE binary16 and bfloat16 as bit patterns; conversions round once, to nearest even.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
float to_float(Half h);
float to_float(BFloat16 b);
Half to_half(float f);
Half to_half(double d);
BFloat16 to_bfloat16(float f);
BFloat16 to_bfloat16(double d);
/// Rounds so that an inexact result has an odd last bit. Rounding it again, to a type of at least two bits less, then
/// gives the correctly rounded exact value (Boldo & Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
float round_to_odd(double d);
double round_to_odd(int64_t i);

size_t size_of(DType dtype);
const char* name_of(DType dtype);
constexpr bool is_floating(DType d) { return d == DType::f32 || d == DType::f64; }

template <class T> struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr DType value = DType::f32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::f64; };
template <> struct DTypeOf<int32_t> { static constexpr DType value = DType::i32; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::i64; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::u8; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::boolean; };
template <> struct DTypeOf<Half> { static constexpr DType value = DType::f16; };
template <> struct DTypeOf<BFloat16> { static constexpr DType value = DType::bf16; };
template <> struct DTypeOf<int8_t> { static constexpr DType value = DType::i8; };
template <class T> inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace qing
