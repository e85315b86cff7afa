// What the norms share. Private to this folder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/reduce.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {

/// Rows whose gradients of weight and bias are summed together, by one thread: it must not depend on anything.
inline constexpr int64_t kNormRowGrain = 64;
/// Rows that a thread takes at a time where each is by itself.
inline int64_t norm_row_grain(int64_t width) { return std::clamp<int64_t>(16384 / width, 1, kNormRowGrain); }

/// x over its standard deviation (or, not centred, its root mean square) along `dims`, and one over that, of
/// differentiable operations.
struct Standardized {
  Tensor normal, rstd;
};
Standardized standardize(const Tensor& x, const std::vector<int64_t>& dims, double eps, bool centred);
/// The gradient by x of Σ g·normal: rstd·(g − mean(g) − normal·mean(g·normal)), without mean(g) if not centred.
Tensor standardize_backward(const Tensor& g, const Standardized& x, const std::vector<int64_t>& dims, bool centred);

/// Calls body(row, dweight, dbias) on every row with a chunk's own partial sums, which then go to inputs `weight` and
/// weight + 1 of the sink, in order; null for what nobody wants. `sums` is 2, or 1 where there is no bias.
template <class T, class Body>
void over_norm_rows(int64_t rows, int64_t width, GradSink& grad, size_t weight, size_t sums, Body body) {
  const bool wants_weight = grad.needs(weight), wants_bias = sums == 2 && grad.needs(weight + 1);
  if (!wants_weight && !wants_bias) {
    return parallel_for(rows, norm_row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) body(r, static_cast<T*>(nullptr), static_cast<T*>(nullptr));
    });
  }
  const int64_t chunks = (rows + kNormRowGrain - 1) / kNormRowGrain, stride = static_cast<int64_t>(sums) * width;
  std::vector<T> partial(static_cast<size_t>(chunks * stride), T(0));
  parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      T* const sum = partial.data() + c * stride;
      T* const dweight = wants_weight ? sum : nullptr;
      T* const dbias = wants_bias ? sum + width : nullptr;
      for (int64_t r = c * kNormRowGrain; r < std::min(rows, (c + 1) * kNormRowGrain); ++r) body(r, dweight, dbias);
    }
  });
  for (size_t i = 0; i < sums; ++i) {
    if (!grad.needs(weight + i)) continue;
    const auto target = grad.target(weight + i);
    sum_rows(chunks, width, partial.data() + static_cast<int64_t>(i) * width, stride, target.tensor.data<T>(),
             target.accumulate);
  }
}

/// Numbers that LayerNorm keeps of each row, in a tensor [rows, kStatistics].
inline constexpr int64_t kStatistics = 3;
template <class T> kernels::RowStatistics<T>* statistics_of(const Tensor& kept, int64_t row) {
  static_assert(sizeof(kernels::RowStatistics<T>) == kStatistics * sizeof(T));
  return reinterpret_cast<kernels::RowStatistics<T>*>(kept.data<T>()) + row;
}

/// Gradients of LayerNorm for one row: dx, unless null, is written; partial sums of dweight and dbias are added to.
template <class T> struct LayerNormRows {
  const T* x;
  const T* weight;
  const T* dy;
  const kernels::RowStatistics<T>* statistics;
  int64_t width;

  void run(int64_t row, T* dx, bool accumulate, T* dweight, T* dbias) const {
    if (dx != nullptr && !accumulate) std::fill(dx, dx + width, T(0));
    kernels::kernels<T>().layer_norm_backward(width, x + row * width, weight, dy + row * width, statistics + row, dx,
                                              dweight, dbias);
  }
};

/// `weight` contiguous, or `value` everywhere where it is undefined.
Tensor weight_or(const Tensor& weight, const Shape& shape, double value, DType dtype);

/// DTypeError or ShapeError unless x ends in `normalized_shape`, not empty, and weight and bias, where defined, have
/// that shape. The number of elements normalised together.
int64_t check_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias,
                   const char* op);

}  // namespace qing
