// From a run-time dtype to a compile-time type.
#pragma once

#include <string>

#include <qing/tensor/dtype.h>
#include <qing/tensor/errors.h>

namespace qing {

/// Calls body(T{}) with T float or double; DTypeError naming `op` for any other dtype.
template <class Body>
decltype(auto) dispatch_floating(DType dtype, const char* op, Body&& body) {
  switch (dtype) {
    case DType::f32: return body(float{});
    case DType::f64: return body(double{});
    default:
      throw DTypeError(std::string(op) + ": needs f32 or f64, got " + name_of(dtype) + "; convert with Tensor::to");
  }
}

/// Calls body(T{}) with T int32_t or int64_t, the dtypes of indices.
template <class Body>
decltype(auto) dispatch_index(DType dtype, const char* op, Body&& body) {
  switch (dtype) {
    case DType::i32: return body(int32_t{});
    case DType::i64: return body(int64_t{});
    default:
      throw DTypeError(std::string(op) + ": indices are i32 or i64, got " + name_of(dtype));
  }
}

}  // namespace qing
