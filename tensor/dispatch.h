// From a run-time dtype to a compile-time type.
#pragma once

#include <string>

#include <qing/tensor/dtype.h>
#include <qing/tensor/errors.h>

namespace qing {

/// Calls body(T{}) with the C++ type of any dtype.
template <class Body> decltype(auto) dispatch_all(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::f32: return body(float{});
    case DType::f64: return body(double{});
    case DType::i32: return body(int32_t{});
    case DType::i64: return body(int64_t{});
    case DType::u8: return body(uint8_t{});
    case DType::boolean: return body(bool{});
    case DType::f16: return body(Half{});
    case DType::bf16: return body(BFloat16{});
    case DType::i8: return body(int8_t{});
  }
  throw DTypeError("unknown dtype");
}

/// Calls body(T{}) with T float or double; DTypeError naming `op` for any other dtype.
template <class Body> decltype(auto) dispatch_floating(DType dtype, const char* op, Body&& body) {
  switch (dtype) {
    case DType::f32: return body(float{});
    case DType::f64: return body(double{});
    default:
      throw DTypeError(std::string(op) + ": needs f32 or f64, got " + name_of(dtype) + "; convert with Tensor::to");
  }
}

/// Calls body(T{}) with T int32_t, int64_t, uint8_t or int8_t; DTypeError naming `op` for any other dtype.
template <class Body> decltype(auto) dispatch_integer(DType dtype, const char* op, Body&& body) {
  switch (dtype) {
    case DType::i32: return body(int32_t{});
    case DType::i64: return body(int64_t{});
    case DType::u8: return body(uint8_t{});
    case DType::i8: return body(int8_t{});
    default:
      throw DTypeError(std::string(op) + ": needs i32, i64, u8 or i8, got " + name_of(dtype) +
                       "; convert with Tensor::to");
  }
}

/// Calls body(T{}) for f32, f64 and the integers; DTypeError naming `op` for bool, f16 and bf16.
template <class Body> decltype(auto) dispatch_number(DType dtype, const char* op, Body&& body) {
  switch (dtype) {
    case DType::f32: return body(float{});
    case DType::f64: return body(double{});
    case DType::i32: return body(int32_t{});
    case DType::i64: return body(int64_t{});
    case DType::u8: return body(uint8_t{});
    case DType::i8: return body(int8_t{});
    default:
      throw DTypeError(std::string(op) + ": needs f32, f64, i32, i64, u8 or i8, got " + name_of(dtype) +
                       "; convert with Tensor::to");
  }
}

/// Calls body(T{}) with T int32_t or int64_t, the dtypes of indices.
template <class Body> decltype(auto) dispatch_index(DType dtype, const char* op, Body&& body) {
  switch (dtype) {
    case DType::i32: return body(int32_t{});
    case DType::i64: return body(int64_t{});
    default: throw DTypeError(std::string(op) + ": indices are i32 or i64, got " + name_of(dtype));
  }
}

}  // namespace qing
