// Eigen's matrices and qing's tensors over the same memory, without a copy. Header-only, so that qing itself does not
// depend on Eigen. Element types are float, double, int32_t, int64_t, uint8_t, int8_t and bool.
#pragma once

#include <Eigen/Core>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <qing/tensor/tensor.h>

namespace qing {

template <class T>
using EigenMatrix = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, Eigen::Unaligned,
                               Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;
template <class T>
using EigenVector = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>, Eigen::Unaligned, Eigen::InnerStride<>>;

/// A 2-D tensor of any strides as a matrix, or a 1-D one as a column. The map does not keep the tensor's memory alive.
/// Writing through it does not bump the tensor's version. ShapeError for other ranks, DTypeError if T is not the
/// tensor's type.
template <class T> EigenMatrix<T> as_eigen(const Tensor& tensor) {
  if (tensor.dim() != 1 && tensor.dim() != 2) {
    throw ShapeError("as_eigen: a matrix of shape " + to_string(tensor.shape()) + "; reshape it to 1 or 2 dimensions");
  }
  const bool matrix = tensor.dim() == 2;
  const Strides& strides = tensor.strides();
  return EigenMatrix<T>(tensor.data<T>(), tensor.size(0), matrix ? tensor.size(1) : 1,
                        {strides[0], matrix ? strides[1] : 1});
}

/// A 1-D tensor of any stride as a column vector (ShapeError for other ranks); otherwise as as_eigen.
template <class T> EigenVector<T> as_eigen_vector(const Tensor& tensor) {
  if (tensor.dim() != 1) {
    throw ShapeError("as_eigen_vector: a vector of shape " + to_string(tensor.shape()) + "; reshape it to 1 dimension");
  }
  return EigenVector<T>(tensor.data<T>(), tensor.size(0), Eigen::InnerStride<>(tensor.strides()[0]));
}

namespace detail {

template <class M> Tensor wrap_eigen(M& matrix, std::function<void()> release) {
  if constexpr (M::IsVectorAtCompileTime) {
    return Tensor::wrap(matrix.data(), {matrix.size()}, Strides{matrix.innerStride()}, std::move(release));
  } else {
    return Tensor::wrap(matrix.data(), {matrix.rows(), matrix.cols()}, Strides{matrix.rowStride(), matrix.colStride()},
                        std::move(release));
  }
}

}  // namespace detail

/// A tensor over a matrix's memory: [rows, columns], or [n] for a compile-time vector. The tensor keeps a Matrix or
/// Array that is moved in. Anything else (an lvalue, a Map, a Block) is only referenced: it must outlive the tensor and
/// its views, and must not be resized. Constant matrices are refused, since tensors can be written.
template <class M> Tensor from_eigen(M&& matrix) {
  using Plain = std::remove_reference_t<M>;
  static_assert(!std::is_const_v<Plain>, "a tensor can be written, so it cannot wrap a constant matrix");
  static_assert((Plain::Flags & Eigen::DirectAccessBit) != 0, "an expression has no memory; evaluate it first");
  if constexpr (!std::is_lvalue_reference_v<M> && std::is_base_of_v<Eigen::PlainObjectBase<Plain>, Plain>) {
    const auto kept = std::make_shared<Plain>(std::move(matrix));
    return detail::wrap_eigen(*kept, [kept] {});
  } else {
    return detail::wrap_eigen(matrix, nullptr);
  }
}

}  // namespace qing
