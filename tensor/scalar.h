// A number beside a tensor, as in x + 2 or full({3}, 1.5).
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <variant>

namespace qing {

/// A number as it was written: an integer of up to 64 bits exactly, any other number as a double. Immutable.
///
/// What becomes of a number that the dtype of a tensor does not hold:
/// - Floating dtypes round it to nearest even. It may become infinite.
/// - Arithmetic with integers (add, sub, mul, their in-place forms, `alpha`) computes with the number itself and wraps
///   the result modulo 2^bits: 1 + 300 is 45 in u8. A fraction, an infinity or NaN is an error.
/// - An integer element that is set to the number (full, fill, set, Tensor::of, masked_fill, where, scatter, index_put,
///   pad, arange, linspace) drops the fraction. ValueError if the rest is out of the dtype's range, or for NaN.
/// - A comparison with integers compares the number itself.
/// - As bool whatever is not 0 is true, NaN too.
class Scalar {
 public:
  template <std::floating_point T> Scalar(T value) : value_(static_cast<double>(value)) {}
  template <std::integral T> Scalar(T value) {
    if constexpr (std::is_signed_v<T>) {
      value_ = static_cast<int64_t>(value);
    } else {
      value_ = static_cast<uint64_t>(value);
    }
  }

  const std::variant<double, int64_t, uint64_t>& value() const { return value_; }
  double to_double() const;  ///< Rounded to nearest even.

 private:
  std::variant<double, int64_t, uint64_t> value_;
};

}  // namespace qing
