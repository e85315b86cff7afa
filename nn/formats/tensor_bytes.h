// The memory of a tensor, for file formats that hold it as it lies.
#pragma once

#include <span>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

/// The bytes of a contiguous tensor of any dtype. ShapeError if it is not contiguous.
inline std::span<char> bytes_of(const Tensor& tensor) {
  return dispatch_all(tensor.dtype(), [&](auto type) -> std::span<char> {
    const auto values = tensor.span<decltype(type)>();
    return {reinterpret_cast<char*>(values.data()), values.size_bytes()};
  });
}

}  // namespace qing::nn
