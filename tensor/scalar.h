// A number next to a tensor, as in x + 2 or full({3}, 1.5).
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <variant>

namespace qing {

/// A number as written: an integer of up to 64 bits exactly, any other number as a double. Immutable.
///
/// How an operation treats a number that the tensor's dtype does not hold:
/// - Floating dtypes round it to nearest even. It may become infinite.
/// - Arithmetic with integers (add, sub, mul, their in-place forms, `alpha`) computes with the number itself and wraps
///   the result modulo 2^bits: 1 + 300 is 45 in u8. A fraction, an infinity or NaN is an error.
/// - Writes to integer elements (full, fill, set, Tensor::of, masked_fill, where, scatter, index_put, pad, arange,
///   linspace) drop the fraction. ValueError for NaN, or if the rest is out of the dtype's range.
/// - Comparisons with integers compare the number itself.
/// - As bool, every number but 0 is true, NaN too.
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
