// Conversion of one number between element types, as Tensor::to and copy_from do for each element.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

#include <qing/tensor/dtype.h>

namespace qing {

template <class T> inline constexpr bool is_short_float = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

/// Converts `from` to To. Floating results are rounded once, to nearest even. A floating number becomes an integer by
/// dropping its fraction; numbers out of range give the nearest end of the range, NaN gives 0. A wider integer wraps
/// modulo 2^bits. As bool, every number but 0 is true.
template <class To, class From> To convert(From from) {
  if constexpr (std::is_same_v<To, From>) {
    return from;
  } else if constexpr (is_short_float<From>) {
    return convert<To>(to_float(from));
  } else if constexpr (is_short_float<To> && std::is_same_v<From, int64_t>) {
    return convert<To>(round_to_odd(from));
  } else if constexpr (is_short_float<To> && std::is_integral_v<From>) {
    return convert<To>(static_cast<double>(from));  // exact
  } else if constexpr (std::is_same_v<To, Half>) {
    return to_half(from);
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return to_bfloat16(from);
  } else if constexpr (std::is_same_v<To, bool>) {
    return from != From(0);
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    if (std::isnan(from)) return To(0);
    if (from <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (from >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(from);
  } else {
    return static_cast<To>(from);
  }
}

}  // namespace qing
