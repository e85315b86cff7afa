// Elementwise loops whose result type differs from that of the operands. For .cpp files; not a public header.
#pragma once

#include <qing/tensor/strided.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Maps every element by R f(T).
template <class R, class T, class F> Tensor map_unary(const Tensor& x, F f) {
  Tensor result = Tensor::empty(x.shape(), dtype_of<R>);
  R* const out = result.data<R>();
  const T* const in = x.data<T>();
  for_each_run(x.shape(), {&result.strides(), &x.strides()}, [=](const Run& run) {
    R* const to = out + run.offset[0];
    const T* const from = in + run.offset[1];
    for (int64_t i = 0; i < run.count; ++i) to[i * run.step[0]] = f(from[i * run.step[1]]);
  });
  return result;
}

/// Maps every pair of elements, broadcast, by R f(T, T). Both tensors hold T.
template <class R, class T, class F> Tensor map_binary(const Tensor& a, const Tensor& b, const char* op, F f) {
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), op);
  const Tensor left = a.expand(shape), right = b.expand(shape);
  Tensor result = Tensor::empty(shape, dtype_of<R>);
  R* const out = result.data<R>();
  const T *const x = left.data<T>(), *const y = right.data<T>();
  for_each_run(shape, {&result.strides(), &left.strides(), &right.strides()}, [=](const Run& run) {
    R* const to = out + run.offset[0];
    const T *const p = x + run.offset[1], *const q = y + run.offset[2];
    const auto [step, step_p, step_q, unused] = run.step;
    if (step == 1 && step_p == 1 && step_q == 1) {
      for (int64_t i = 0; i < run.count; ++i) to[i] = f(p[i], q[i]);
    } else {
      for (int64_t i = 0; i < run.count; ++i) to[i * step] = f(p[i * step_p], q[i * step_q]);
    }
  });
  return result;
}

}  // namespace qing
