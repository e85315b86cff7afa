// Softmax over rows.
#include <fmt/format.h>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/normalization.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kRowGrain = 64;

struct Rows {
  int64_t count, width;
};

Rows rows_of(const Tensor& x, const char* op) {
  if (x.dim() < 1 || x.size(-1) < 1) {
    throw ShapeError(fmt::format("{}: needs a last dimension of at least 1, got shape {}", op, to_string(x.shape())));
  }
  return {x.numel() / x.size(-1), x.size(-1)};
}

}  // namespace

Tensor softmax(const Tensor& input) {
  const Rows rows = rows_of(input, "softmax");
  const Tensor x = input.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), "softmax", [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>();
    T* out = y.data<T>();
    parallel_for(rows.count, kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        kernels::kernels<T>().softmax(rows.width, T(1), in + r * rows.width, out + r * rows.width);
      }
    });
  });
  if (recording({input})) {
    record("softmax", y, {input}, [rows, y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const auto target = grad.target(0);
      dispatch_floating(dy.dtype(), "softmax", [&](auto zero) {
        using T = decltype(zero);
        const T* out = y.get(grad).data<T>();
        const T* upstream = dy.data<T>();
        T* dx = target.tensor.data<T>();
        parallel_for(rows.count, kRowGrain, [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r) {
            const int64_t at = r * rows.width;
            const T inner = kernels::kernels<T>().dot(rows.width, out + at, upstream + at);
            for (int64_t j = at; j < at + rows.width; ++j) {
              const T value = out[j] * (upstream[j] - inner);
              dx[j] = target.accumulate ? dx[j] + value : value;
            }
          }
        });
      });
    });
  }
  return y;
}

}  // namespace qing
