#include <qing/autograd/ops/scans.h>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/lanes.h>

namespace qing {
namespace {

// y[i] = step(y[i − 1], x[i]), beginning with `start`, in double or modulo 2^64.
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

// Running sums from the end: the transpose of cumsum, and vice versa.
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

// dx[i] = (Π_{j<i} x[j]) · r[i] with r[i] = Σ_{k≥i} dy[k]·Π_{i<j≤k} x[j] = dy[i] + x[i+1]·r[i+1]. There is no division
// by x[i], so x[i] may be 0.
template <class T> void product_gradient(int64_t n, const T* x, const T* dy, T* dx) {
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

// x shifted along `dim` by one position: `first` comes in front and the last element is dropped; or the other way, with
// `last` at the end.
Tensor moved_on(const Tensor& x, int64_t dim, double first) {
  const Tensor front = Tensor::full(kept_shape(x.shape(), {dim}), first, x.dtype());
  return cat({front, slice(x, dim, 0, x.size(dim) - 1)}, dim);
}
Tensor moved_back(const Tensor& x, int64_t dim, double last) {
  const Tensor end = Tensor::full(kept_shape(x.shape(), {dim}), last, x.dtype());
  return cat({slice(x, dim, 1, x.size(dim)), end}, dim);
}

// r[i] = b[i] + a[i]·r[i − 1]. The gradient is a recurrence from the end: with s[i] = dr[i] + a[i + 1]·s[i + 1], db = s
// and da[i] = s[i]·r[i − 1].
Tensor recurrence(const Tensor& a, const Tensor& b, int64_t dim) {
  const Tensor factors = a.alias().contiguous(), terms = b.alias().contiguous();
  Tensor r = Tensor::empty(b.shape(), b.dtype());
  const Lanes lanes(r.layout(), {dim});
  dispatch_floating(b.dtype(), "cumprod", [&](auto zero) {
    using T = decltype(zero);
    parallel_for(lanes.count(), lanes.tile(), [&](int64_t begin, int64_t end) {
      LaneReader<T> factor(factors, lanes), term(terms, lanes);
      LaneWriter<T> out(r, lanes);
      for (int64_t lane = begin; lane < end; ++lane) {
        const T *p = factor.at(lane), *q = term.at(lane);
        T* to = out.at(lane);
        double last = 0;
        for (int64_t i = 0; i < lanes.length(); ++i) {
          to[i] = static_cast<T>(last = static_cast<double>(q[i]) + static_cast<double>(p[i]) * last);
        }
      }
    });
  });
  if (recording({a, b})) {
    record("cumprod", r, {a, b}, [dim, a = Saved(a), r = Saved(r)](const Tensor& dy, GradSink& grad) {
      const Tensor behind = moved_back(grad.input(0, a), dim, 0);
      const Tensor s = flip(recurrence(flip(behind, {dim}), flip(dy, {dim}), dim), {dim});
      if (grad.needs(0)) grad.add(0, mul(s, moved_on(grad.output(r), dim, 0)));
      grad.add(1, s);
    });
  }
  return r;
}

// product_gradient in differentiable operations.
Tensor product_gradient_graph(const Tensor& x, const Tensor& dy, const std::vector<int64_t>& dims) {
  if (dims.empty() || x.size(dims[0]) == 0) return dy;
  const int64_t dim = dims[0];
  const Tensor rest = flip(recurrence(flip(moved_back(x, dim, 0), {dim}), flip(dy, {dim}), dim), {dim});
  return mul(cumprod(moved_on(x, dim, 1), dim), rest);
}

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim) { return running_sum(x, resolve_dim(dim, x.dim(), "cumsum")); }

Tensor cumprod(const Tensor& x, int64_t dim) {
  const auto dims = resolve_dim(dim, x.dim(), "cumprod");
  Tensor y = scan(x.alias(), dims, "cumprod", 1, [](auto a, auto b) { return a * b; });
  if (recording({x})) {
    record("cumprod", y, {x}, [dims, x = Saved(x)](const Tensor& dy, GradSink& grad) {
      if (grad.create_graph()) return grad.add(0, product_gradient_graph(grad.input(0, x), dy, dims));
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
