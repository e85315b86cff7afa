// Helpers of the norms. Private to this folder.
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

/// The number of rows whose gradients of weight and bias one thread sums together. A constant, so that results never
/// depend on the number of threads.
inline constexpr int64_t kNormRowGrain = 64;
/// Rows per thread and turn, where rows are independent.
inline int64_t norm_row_grain(int64_t width) { return std::clamp<int64_t>(16384 / width, 1, kNormRowGrain); }

/// normal: x (less its mean if centred), over its standard deviation (if not centred, its root mean square) along
/// `dims`. rstd: 1 over that divisor. Made of differentiable operations.
struct Standardized {
  Tensor normal, rstd;
};
Standardized standardize(const Tensor& x, const std::vector<int64_t>& dims, double eps, bool centred);
/// The gradient of Σ g·normal with respect to x: rstd·(g − mean(g) − normal·mean(g·normal)), without mean(g) if not
/// centred.
Tensor standardize_backward(const Tensor& g, const Standardized& x, const std::vector<int64_t>& dims, bool centred);
/// The gradients from dy of a norm over the last `normalized_dims` dimensions, in differentiable operations. Adds those
/// of x (input 0) and of the weight (input 1).
void norm_graph(const Tensor& dy, const Tensor& x, const Tensor& weight, int64_t normalized_dims, double eps,
                bool centred, GradSink& grad);

/// Calls body(row, dweight, dbias) for every row with the partial sums of its chunk, null if not needed. The partial
/// sums are then added in order to inputs `weight` and weight + 1 of the sink. `sums` is the number of partial sums: 2,
/// or 1 without a bias.
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

/// The count of numbers that LayerNorm keeps for each row, in a tensor [rows, kStatistics].
inline constexpr int64_t kStatistics = 3;
template <class T> kernels::RowStatistics<T>* statistics_of(const Tensor& kept, int64_t row) {
  static_assert(sizeof(kernels::RowStatistics<T>) == kStatistics * sizeof(T));
  return reinterpret_cast<kernels::RowStatistics<T>*>(kept.data<T>()) + row;
}

/// The gradients of LayerNorm for one row. Writes dx, unless null; adds to the partial sums dweight and dbias.
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

/// `weight`, contiguous; filled with `value` if it is undefined.
Tensor weight_or(const Tensor& weight, const Shape& shape, double value, DType dtype);

/// The number of elements that are normalised together. DTypeError or ShapeError unless x ends in `normalized_shape`,
/// which is not empty, and the defined ones of weight and bias have that shape.
int64_t check_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias,
                   const char* op);

}  // namespace qing
