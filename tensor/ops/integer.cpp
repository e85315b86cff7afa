#include <qing/tensor/ops/integer.h>

#include <type_traits>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/ops/loops.h>
#include <qing/tensor/wrapping.h>

namespace qing {
namespace {

// The smallest integer divided by −1 is the only quotient that overflows: it wraps to itself.
template <class T> T floor_quotient(T a, T b, const char* name) {
  if (b == 0) throw ValueError(std::string(name) + ": division by zero");
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return wrapping_sub(T(0), a);
  }
  const auto quotient = static_cast<T>(a / b);
  const bool down = a % b != 0 && (a < 0) != (b < 0);
  return static_cast<T>(quotient - (down ? 1 : 0));
}

template <class T> T shift(T a, T count, bool left, const char* name) {
  if (count < 0) throw ValueError(std::string(name) + ": a shift by " + std::to_string(count) + " bits");
  constexpr int kBits = 8 * sizeof(T);
  if (left) return count >= kBits ? T(0) : static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) << count);
  if (count >= kBits) return static_cast<T>(a < 0 ? -1 : 0);
  return static_cast<T>(a >> count);
}

template <class T> Tensor compute(IntegerBinary op, const Tensor& a, const Tensor& b, const char* name) {
  const auto run = [&](auto f) { return map_binary<T, T>(a, b, name, f); };
  switch (op) {
    case IntegerBinary::add: return run([](T x, T y) { return wrapping_add(x, y); });
    case IntegerBinary::sub: return run([](T x, T y) { return wrapping_sub(x, y); });
    case IntegerBinary::mul: return run([](T x, T y) { return wrapping_mul(x, y); });
    case IntegerBinary::floor_divide: return run([name](T x, T y) { return floor_quotient(x, y, name); });
    case IntegerBinary::remainder:
      return run([name](T x, T y) { return wrapping_sub(x, wrapping_mul(floor_quotient(x, y, name), y)); });
    case IntegerBinary::bitwise_and: return run([](T x, T y) { return static_cast<T>(x & y); });
    case IntegerBinary::bitwise_or: return run([](T x, T y) { return static_cast<T>(x | y); });
    case IntegerBinary::bitwise_xor: return run([](T x, T y) { return static_cast<T>(x ^ y); });
    case IntegerBinary::left_shift: return run([name](T x, T y) { return shift(x, y, true, name); });
    case IntegerBinary::right_shift: return run([name](T x, T y) { return shift(x, y, false, name); });
  }
  throw ValueError(std::string(name) + ": unknown operation");
}

}  // namespace

Tensor integer_binary(IntegerBinary op, const Tensor& a, const Tensor& b, const char* name) {
  check_same_dtype(a, b, name);
  if (a.dtype() == DType::boolean) {
    if (op == IntegerBinary::bitwise_and) return logical_and(a, b);
    if (op == IntegerBinary::bitwise_or) return logical_or(a, b);
    if (op == IntegerBinary::bitwise_xor) return logical_xor(a, b);
  }
  return dispatch_integer(a.dtype(), name, [&](auto zero) { return compute<decltype(zero)>(op, a, b, name); });
}

Tensor bitwise_and(const Tensor& a, const Tensor& b) {
  return integer_binary(IntegerBinary::bitwise_and, a, b, "bitwise_and");
}
Tensor bitwise_or(const Tensor& a, const Tensor& b) {
  return integer_binary(IntegerBinary::bitwise_or, a, b, "bitwise_or");
}
Tensor bitwise_xor(const Tensor& a, const Tensor& b) {
  return integer_binary(IntegerBinary::bitwise_xor, a, b, "bitwise_xor");
}
Tensor bitwise_not(const Tensor& x) {
  if (x.dtype() == DType::boolean) return logical_not(x);
  return bitwise_xor(x, Tensor::full({}, x.dtype() == DType::u8 ? 255 : -1, x.dtype()));
}
Tensor bitwise_left_shift(const Tensor& a, const Tensor& b) {
  return integer_binary(IntegerBinary::left_shift, a, b, "bitwise_left_shift");
}
Tensor bitwise_right_shift(const Tensor& a, const Tensor& b) {
  return integer_binary(IntegerBinary::right_shift, a, b, "bitwise_right_shift");
}

}  // namespace qing
