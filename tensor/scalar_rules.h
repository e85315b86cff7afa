// How operations treat a Scalar; Scalar states the rules. For .cpp files; not a public header.
#pragma once

#include <optional>
#include <string>

#include <qing/tensor/convert.h>
#include <qing/tensor/scalar.h>
#include <qing/tensor/tensor.h>

namespace qing {

std::string to_string(const Scalar& value);

/// The number modulo 2^64. None if it is a fraction, infinite or NaN.
std::optional<uint64_t> modulo_2_64(const Scalar& value);

/// −1, 0 or 1 if a is less than, equal to or greater than b, which is not NaN.
int three_way_compare(int64_t a, const Scalar& b);
bool is_nan(const Scalar& value);

/// Throws ValueError: `op` cannot put the number into an element of the dtype.
[[noreturn]] void refuse_to_store(const Scalar& value, DType dtype, const char* op);

/// The value of an element that is set to the number. ValueError if T does not hold it.
template <class T> T stored_as(const Scalar& value, const char* op) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    const double number = value.to_double();
    // Only the whole part has to be in range. Doubles beyond ±2^63 are whole.
    const Scalar whole = std::holds_alternative<double>(value.value()) ? Scalar(std::trunc(number)) : value;
    using Limits = std::numeric_limits<T>;
    if (is_nan(value) || three_way_compare(Limits::min(), whole) > 0 || three_way_compare(Limits::max(), whole) < 0) {
      refuse_to_store(value, dtype_of<T>, op);
    }
    return static_cast<T>(*modulo_2_64(whole));
  } else {
    return std::visit([](auto number) { return convert<T>(number); }, value.value());
  }
}

/// A tensor without dimensions that holds the number, converted as by stored_as.
Tensor stored_scalar(const Scalar& value, DType dtype, const char* op);

/// A tensor without dimensions that stands for the number in arithmetic: rounded to a floating dtype, or modulo 2^bits.
/// None if the dtype is an integer one but the number is not an integer.
std::optional<Tensor> arithmetic_scalar(const Scalar& value, DType dtype);

/// Sets all elements of x to the number. Errors begin with `op`.
void fill_with(Tensor& x, const Scalar& value, const char* op);

}  // namespace qing
