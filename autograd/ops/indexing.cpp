// Rows by index, and the gradient that adds to them.
#include <fmt/format.h>

#include <algorithm>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kRowGrain = 64;

}  // namespace

Tensor index_rows(const Tensor& x, const Tensor& index) {
  if (x.dim() < 1 || index.dim() != 1) {
    throw ShapeError(fmt::format("index_rows: x {} and index {}; needs [rows, ...] and [n]", to_string(x.shape()),
                                 to_string(index.shape())));
  }
  const int64_t width = numel_of(Shape(x.shape().begin() + 1, x.shape().end()));
  Tensor y = embedding(x.alias().reshape({x.size(0), width}), index);
  Shape shape = x.shape();
  shape[0] = index.size(0);
  y = y.reshape(shape);
  if (recording({x})) {
    record("index_rows", y, {x}, [index = Saved(index.contiguous()), width](const Tensor& dy, GradSink& grad) {
      const Tensor target = grad.zeroed_target(0);
      const Tensor& rows = index.get(grad);
      dispatch_floating(dy.dtype(), "index_rows", [&](auto zero) {
        using T = decltype(zero);
        dispatch_index(rows.dtype(), "index_rows", [&](auto none) {
          using I = decltype(none);
          const I* row = rows.data<I>();
          for (int64_t i = 0; i < rows.numel(); ++i) {
            kernels::kernels<T>().axpy(width, T(1), dy.data<T>() + i * width, target.data<T>() + row[i] * width);
          }
        });
      });
    });
  }
  return y;
}

Tensor embedding(const Tensor& weight, const Tensor& ids, int64_t padding_idx) {
  if (weight.dim() != 2) {
    throw ShapeError("embedding: the weight is [entries, width], got " + to_string(weight.shape()));
  }
  const int64_t entries = weight.size(0), width = weight.size(1);
  const Tensor table = weight.contiguous(), which = ids.contiguous();
  Shape shape = ids.shape();
  shape.push_back(width);
  Tensor y = Tensor::empty(shape, weight.dtype());
  dispatch_floating(weight.dtype(), "embedding", [&](auto zero) {
    using T = decltype(zero);
    dispatch_index(which.dtype(), "embedding", [&](auto none) {
      using I = decltype(none);
      const I* id = which.data<I>();
      for (int64_t i = 0; i < which.numel(); ++i) {
        if (id[i] < 0 || id[i] >= entries) {
          throw IndexError(fmt::format("embedding: id {} at position {} is outside [0, {})", id[i], i, entries));
        }
      }
      const T* from = table.data<T>();
      T* to = y.data<T>();
      parallel_for(which.numel(), kRowGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) std::copy_n(from + id[i] * width, width, to + i * width);
      });
    });
  });
  if (recording({weight})) {
    record("embedding", y, {weight}, [ids = Saved(which), width, padding_idx](const Tensor& dy, GradSink& grad) {
      const Tensor target = grad.zeroed_target(0);
      const Tensor& which = ids.get(grad);
      dispatch_floating(dy.dtype(), "embedding", [&](auto zero) {
        using T = decltype(zero);
        dispatch_index(which.dtype(), "embedding", [&](auto none) {
          using I = decltype(none);
          const I* id = which.data<I>();
          const auto& table = kernels::kernels<T>();
          // In order on one thread: rows repeat, and their sums must not depend on who comes first.
          for (int64_t i = 0; i < which.numel(); ++i) {
            if (id[i] == padding_idx) continue;
            T* row = target.data<T>() + id[i] * width;
            table.add(width, row, dy.data<T>() + i * width, row);
          }
        });
      });
    });
  }
  return y;
}

}  // namespace qing
