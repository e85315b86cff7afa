#include <qing/tensor/scalar_rules.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/tensor/dispatch.h>

namespace qing {

std::string to_string(const Scalar& value) {
  return std::visit([](auto number) { return fmt::format("{}", number); }, value.value());
}

bool is_nan(const Scalar& value) {
  const auto* number = std::get_if<double>(&value.value());
  return number != nullptr && std::isnan(*number);
}

std::optional<uint64_t> modulo_2_64(const Scalar& value) {
  if (const auto* number = std::get_if<int64_t>(&value.value())) return static_cast<uint64_t>(*number);
  if (const auto* number = std::get_if<uint64_t>(&value.value())) return *number;
  const double number = std::get<double>(value.value());
  if (!std::isfinite(number) || number != std::trunc(number)) return std::nullopt;
  const double rest = std::fmod(std::fabs(number), 0x1p64);  // exact, in [0, 2^64)
  const auto magnitude = static_cast<uint64_t>(rest);
  return number < 0 ? 0 - magnitude : magnitude;
}

int three_way_compare(int64_t a, const Scalar& b) {
  if (const auto* number = std::get_if<int64_t>(&b.value())) return a < *number ? -1 : (a > *number ? 1 : 0);
  if (const auto* number = std::get_if<uint64_t>(&b.value())) {
    if (a < 0 || static_cast<uint64_t>(a) < *number) return -1;
    return static_cast<uint64_t>(a) > *number ? 1 : 0;
  }
  const double number = std::get<double>(b.value());
  if (number >= 0x1p63) return -1;
  if (number < -0x1p63) return 1;
  const auto whole = static_cast<int64_t>(number);  // towards zero
  if (a != whole) return a < whole ? -1 : 1;
  const double rest = number - static_cast<double>(whole);
  return rest > 0 ? -1 : (rest < 0 ? 1 : 0);
}

void refuse_to_store(const Scalar& value, DType dtype, const char* op) {
  std::string range;
  dispatch_integer(dtype, op, [&](auto zero) {
    using Limits = std::numeric_limits<decltype(zero)>;
    range = fmt::format("{} to {}", Limits::min(), Limits::max());
  });
  throw ValueError(fmt::format("{}: {} is out of the range of {}, {}; use a wider dtype", op, to_string(value),
                               name_of(dtype), range));
}

Tensor stored_scalar(const Scalar& value, DType dtype, const char* op) {
  Tensor tensor = Tensor::empty({}, dtype);
  fill_with(tensor, value, op);
  return tensor;
}

std::optional<Tensor> arithmetic_scalar(const Scalar& value, DType dtype) {
  Tensor tensor = Tensor::empty({}, dtype);
  const bool whole = dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      const auto number = modulo_2_64(value);
      if (!number) return false;
      *tensor.data<T>() = static_cast<T>(*number);
    } else {
      *tensor.data<T>() = stored_as<T>(value, "");
    }
    return true;
  });
  return whole ? std::optional(tensor) : std::nullopt;
}

}  // namespace qing
