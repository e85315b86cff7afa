// Elementwise loops over tensors, without gradients. Every function spreads over threads by fixed chunks.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {

/// Elements a thread takes at a time: enough to pay for waking it, and a multiple of every vector width.
inline constexpr int64_t kElementGrain = 16384;

/// y[i] = f(x[i]) over n elements; y may be x.
template <class T, class F>
void map(int64_t n, const T* x, T* y, F f) {
  parallel_for(n, kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

/// z[i] = f(x[i], y[i]) over n elements; z may be x or y.
template <class T, class F>
void map(int64_t n, const T* x, const T* y, T* z, F f) {
  parallel_for(n, kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) z[i] = f(x[i], y[i]);
  });
}

enum class Binary { add, sub, mul, div };

/// a ∘ b with NumPy's broadcasting; f32 or f64, both alike (DTypeError), shapes that broadcast (ShapeError).
Tensor apply(Binary op, const Tensor& a, const Tensor& b, const char* name);

/// into += x, elementwise. `into` is contiguous, of x's shape and dtype.
void add_into(const Tensor& into, const Tensor& x);

/// DTypeError naming `op` unless both dtypes are the same.
void check_same_dtype(const Tensor& a, const Tensor& b, const char* op);

}  // namespace qing
