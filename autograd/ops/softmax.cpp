// Softmax and its variants along any dimension.
#include <qing/autograd/ops/softmax.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/lanes.h>

namespace qing {
namespace {

// dx[lane] = body(n, y[lane], dy[lane]), for a gradient that depends on x only through y.
template <class Body>
Tensor gradient_along(const Tensor& y, const Tensor& dy, const std::vector<int64_t>& dims, const char* op, Body body) {
  Tensor dx = Tensor::empty(y.shape(), y.dtype());
  dispatch_floating(y.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const Lanes results(y.layout(), dims), upstream(dy.layout(), dims), to(dx.layout(), dims);
    parallel_for(results.count(), results.tile(), [&](int64_t begin, int64_t end) {
      LaneReader<T> result(y, results), gradient(dy, upstream);
      LaneWriter<T> out(dx, to);
      for (int64_t lane = begin; lane < end; ++lane) {
        body(results.length(), result.at(lane), gradient.at(lane), out.at(lane));
      }
    });
  });
  return dx;
}

// x − log Σ exp(x). The largest element is subtracted first, so that the difference is exact where it matters.
template <class T> void log_softmax_lane(int64_t n, const T* x, T* y, T* scratch) {
  const T largest = *std::max_element(x, x + n);
  const T shift = std::isfinite(largest) ? largest : T(0);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] - shift;
  const T log_sum = kernels::kernels<T>().softmax(n, T(1), y, scratch);
  for (int64_t i = 0; i < n; ++i) y[i] -= log_sum;
}

}  // namespace

Tensor softmax(const Tensor& x, int64_t dim) {
  const std::vector<int64_t> dims = resolve_dim(dim, x.dim(), "softmax");
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), "softmax", [&](auto zero) {
    using T = decltype(zero);
    if (x.numel() == 0) return;
    map_lanes<T, T>(x, y, dims,
                    [](int64_t n, const T* in, T* out) { kernels::kernels<T>().softmax(n, T(1), in, out); });
  });
  if (recording({x})) {
    record("softmax", y, {x}, [dims, y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor result = grad.output(y);
      // dx = y·(dy − Σ dy·y)
      if (grad.create_graph()) {
        const Tensor weighted = mul(dy, result);
        const Tensor inner = dims.empty() ? weighted : sum(weighted, dims, true);
        return grad.add(0, sub(weighted, mul(result, inner)));
      }
      const auto lane = [](int64_t n, const auto* p, const auto* up, auto* dx) {
        using T = std::remove_pointer_t<decltype(dx)>;
        const T inner = kernels::kernels<T>().dot(n, p, up);
        for (int64_t j = 0; j < n; ++j) dx[j] = p[j] * (up[j] - inner);
      };
      grad.add(0, gradient_along(result, dy, dims, "softmax", lane));
    });
  }
  return y;
}

Tensor log_softmax(const Tensor& x, int64_t dim) {
  const std::vector<int64_t> dims = resolve_dim(dim, x.dim(), "log_softmax");
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), "log_softmax", [&](auto zero) {
    using T = decltype(zero);
    if (x.numel() == 0) return;
    const int64_t width = dims.empty() ? 1 : x.size(dim);
    map_lanes<T, T>(x, y, dims, [width](int64_t n, const T* in, T* out) {
      thread_local std::vector<T> scratch;
      scratch.resize(static_cast<size_t>(width));
      log_softmax_lane(n, in, out, scratch.data());
    });
  });
  if (recording({x})) {
    record("log_softmax", y, {x}, [dims, y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor result = grad.output(y);
      // dx = dy − exp(y)·Σ dy
      if (grad.create_graph()) {
        const Tensor total = dims.empty() ? dy : sum(dy, dims, true);
        return grad.add(0, sub(dy, mul(exp(result), total)));
      }
      const auto lane = [](int64_t n, const auto* log, const auto* up, auto* dx) {
        using T = std::remove_pointer_t<decltype(dx)>;
        const T total = kernels::kernels<T>().sum(n, up);
        kernels::apply(kernels::Unary::exp, n, log, dx);
        for (int64_t j = 0; j < n; ++j) dx[j] = up[j] - dx[j] * total;
      };
      grad.add(0, gradient_along(result, dy, dims, "log_softmax", lane));
    });
  }
  return y;
}

Tensor softmin(const Tensor& x, int64_t dim) { return softmax(neg(x), dim); }

}  // namespace qing
