#include <qing/autograd/ops/scans.h>

#include <qing/autograd/graph.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/lanes.h>

namespace qing {
namespace {

// y[i] = step(y[i − 1], x[i]) from `start`, in double, or modulo 2^64.
template <class Step>
Tensor scan(const Tensor& x, const std::vector<int64_t>& dims, const char* op, uint64_t start, Step step) {
  Tensor y = Tensor::empty(x.shape(), is_floating(x.dtype()) ? x.dtype() : DType::i64);
  const auto integers = [&](auto zero) {
    using T = decltype(zero);
    map_lanes<T, int64_t>(x, y, dims, [&](int64_t n, const T* in, int64_t* out) {
      uint64_t state = start;
      for (int64_t i = 0; i < n; ++i) {
        state = step(state, static_cast<uint64_t>(static_cast<int64_t>(in[i])));
        out[i] = static_cast<int64_t>(state);
      }
    });
  };
  if (is_floating(x.dtype())) {
    dispatch_floating(x.dtype(), op, [&](auto zero) {
      using T = decltype(zero);
      map_lanes<T, T>(x, y, dims, [&](int64_t n, const T* in, T* out) {
        auto state = static_cast<double>(start);
        for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(state = step(state, static_cast<double>(in[i])));
      });
    });
  } else if (x.dtype() == DType::boolean) {
    integers(false);
  } else {
    dispatch_integer(x.dtype(), op, integers);
  }
  return y;
}

// Running sums from the other end: the transpose of cumsum, whose own transpose is cumsum.
Tensor sum_from_behind(const Tensor& x, const std::vector<int64_t>& dims);

Tensor running_sum(const Tensor& x, const std::vector<int64_t>& dims) {
  Tensor y = scan(x.alias(), dims, "cumsum", 0, [](auto a, auto b) { return a + b; });
  if (recording({x})) {
    record("cumsum", y, {x}, [dims](const Tensor& dy, GradSink& grad) { grad.add(0, sum_from_behind(dy, dims)); });
  }
  return y;
}

Tensor sum_from_behind(const Tensor& x, const std::vector<int64_t>& dims) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), "cumsum", [&](auto zero) {
    using T = decltype(zero);
    map_lanes<T, T>(x.alias(), y, dims, [](int64_t n, const T* in, T* out) {
      double total = 0;
      for (int64_t i = n - 1; i >= 0; --i) out[i] = static_cast<T>(total += static_cast<double>(in[i]));
    });
  });
  if (recording({x})) {
    record("cumsum", y, {x}, [dims](const Tensor& dy, GradSink& grad) { grad.add(0, running_sum(dy, dims)); });
  }
  return y;
}

// dx[i] = (Π_{j<i} x[j]) · r[i] with r[i] = Σ_{k≥i} dy[k]·Π_{i<j≤k} x[j] = dy[i] + x[i+1]·r[i+1]: nothing is divided by
// x[i], so it may be 0.
template <class T>
void product_gradient(int64_t n, const T* x, const T* dy, T* dx) {
  double rest = 0;
  for (int64_t i = n - 1; i >= 0; --i) {
    rest = static_cast<double>(dy[i]) + (i + 1 < n ? static_cast<double>(x[i + 1]) * rest : 0);
    dx[i] = static_cast<T>(rest);
  }
  double before = 1;
  for (int64_t i = 0; i < n; ++i) {
    dx[i] = static_cast<T>(before * static_cast<double>(dx[i]));
    before *= static_cast<double>(x[i]);
  }
}

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim) { return running_sum(x, resolve_dim(dim, x.dim(), "cumsum")); }

Tensor cumprod(const Tensor& x, int64_t dim) {
  const auto dims = resolve_dim(dim, x.dim(), "cumprod");
  Tensor y = scan(x.alias(), dims, "cumprod", 1, [](auto a, auto b) { return a * b; });
  if (recording({x})) {
    record("cumprod", y, {x}, [dims, x = Saved(x)](const Tensor& dy, GradSink& grad) {
      const Tensor& from = x.get(grad);
      Tensor dx = Tensor::empty(from.shape(), from.dtype());
      const Lanes values(from.layout(), dims), upstream(dy.layout(), dims), to(dx.layout(), dims);
      dispatch_floating(from.dtype(), "cumprod", [&](auto zero) {
        using T = decltype(zero);
        parallel_for(values.count(), values.tile(), [&](int64_t begin, int64_t end) {
          LaneReader<T> in(from, values), up(dy, upstream);
          LaneWriter<T> out(dx, to);
          for (int64_t lane = begin; lane < end; ++lane) {
            product_gradient(values.length(), in.at(lane), up.at(lane), out.at(lane));
          }
        });
      });
      grad.add(0, dx);
    });
  }
  return y;
}

}  // namespace qing
