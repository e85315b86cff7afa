// Elementwise loops over tensors, without gradients. Every function splits its work into fixed chunks for threads. An
// element's bits depend on its operands alone.
#pragma once

#include <cstdint>
#include <utility>

#include <qing/tensor/denormals.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/pointwise.h>
#include <qing/tensor/ops/blocks.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {

using kernels::Binary;

/// DTypeError naming `op` unless both dtypes are the same.
void check_same_dtype(const Tensor& a, const Tensor& b, const char* op);

/// DTypeError naming `op` unless x is f32 or f64. For composed operations, whose parts would name themselves.
inline void check_floating(const Tensor& x, const char* op) {
  dispatch_floating(x.dtype(), op, [](auto) {});
}

/// a ∘ b with NumPy's broadcasting (ShapeError). f32 or f64, both the same (DTypeError). Operands are not copied. NaN
/// and infinities follow IEEE 754; maximum and minimum are NaN where an operand is NaN.
Tensor apply(Binary op, const Tensor& a, const Tensor& b, const char* name);

/// into += x, elementwise. `into` is contiguous, of x's shape and dtype.
void add_into(const Tensor& into, const Tensor& x);

/// y[i] = f(x[i]) over n elements; y may be x.
template <class T, class F> void map(int64_t n, const T* x, T* y, F f) {
  parallel_for(n, kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

/// f(a, b, ...) for the elements of operands of type T, which broadcast to `shape`. f takes the elements in order.
/// Denormal numbers are kept: the C library's functions are wrong where the processor flushes denormals to zero.
template <class T, class F, class... Operands> Tensor map_to(const Shape& shape, F f, const Operands&... operands) {
  using R = decltype(f((static_cast<void>(operands), T())...));
  Tensor result = Tensor::empty(shape, dtype_of<R>);
  R* out = result.data<R>();
  for_blocks(shape, {operands...}, Repeat::scalar, [out, f](int64_t begin, int64_t n, const Lane* lanes) {
    const KeepDenormals keep;
    [&]<size_t... k>(std::index_sequence<k...>) {
      for (int64_t i = 0; i < n; ++i) out[begin + i] = f(lanes[k].template as<T>()[i * lanes[k].step]...);
    }
    (std::index_sequence_for<Operands...>{});
  });
  return result;
}

/// map_to for f32 or f64 operands, all of one dtype (DTypeError), with their broadcast shape (ShapeError).
template <class F, class... Operands> Tensor map(const char* op, F f, const Tensor& first, const Operands&... others) {
  Shape shape = first.shape();
  ((check_same_dtype(first, others, op), shape = broadcast_shapes(shape, others.shape(), op)), ...);
  return dispatch_floating(first.dtype(), op,
                           [&](auto zero) { return map_to<decltype(zero)>(shape, f, first, others...); });
}

}  // namespace qing
