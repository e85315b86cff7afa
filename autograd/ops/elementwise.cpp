// Elementwise operations. Binary ones broadcast; the sink sums a gradient back down to the shape of its input.
#include <qing/autograd/ops/elementwise.h>

#include <algorithm>
#include <cmath>

#include <qing/autograd/graph.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>

namespace qing {
namespace {

// y = f(x), dL/dx = dL/dy · df(x, y). One description gives forward and gradient for both dtypes. `slope` is the second
// factor as a tensor, made of differentiable operations on x and y.
template <class F, class D, class S>
Tensor unary(OpName op, const Tensor& input, F f, D df, S slope) {
  const Tensor x = input.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), op.c_str(), [&](auto zero) {
    using T = decltype(zero);
    map(x.numel(), x.data<T>(), y.data<T>(), f);
  });
  if (recording({input})) {
    record(op, y, {input}, [x = Saved(x), y = Saved(y), df, slope](const Tensor& dy, GradSink& grad) {
      if (grad.create_graph()) return grad.add(0, mul(dy, slope(grad.input(0, x), grad.output(y))));
      const auto target = grad.target(0);
      dispatch_floating(dy.dtype(), grad.op(), [&](auto zero) {
        using T = decltype(zero);
        const T* in = x.get(grad).data<T>();
        const T* out = y.get(grad).data<T>();
        const T* upstream = dy.data<T>();
        T* dx = target.tensor.data<T>();
        const bool accumulate = target.accumulate;
        parallel_for(dy.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const T value = upstream[i] * df(in[i], out[i]);
            dx[i] = accumulate ? dx[i] + value : value;
          }
        });
      });
    });
  }
  return y;
}

// A unary operation whose forward has a kernel of its own.
template <class Member>
void apply_kernel(const Tensor& x, Tensor& y, const char* op, Member member) {
  dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const auto kernel = member(kernels::kernels<T>());
    const T* in = x.data<T>();
    T* out = y.data<T>();
    parallel_for(x.numel(), kElementGrain,
                 [&](int64_t begin, int64_t end) { kernel(end - begin, in + begin, out + begin); });
  });
}

// The same with a derivative that follows from the result alone.
template <class Member, class D, class S>
Tensor unary_kernel(OpName op, const Tensor& input, Member member, D df, S slope) {
  const Tensor x = input.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  apply_kernel(x, y, op.c_str(), member);
  if (recording({input})) {
    record(op, y, {input}, [y = Saved(y), df, slope](const Tensor& dy, GradSink& grad) {
      if (grad.create_graph()) return grad.add(0, mul(dy, slope(grad.output(y))));
      const auto target = grad.target(0);
      dispatch_floating(dy.dtype(), grad.op(), [&](auto zero) {
        using T = decltype(zero);
        const T* out = y.get(grad).data<T>();
        const T* upstream = dy.data<T>();
        T* dx = target.tensor.data<T>();
        const bool accumulate = target.accumulate;
        parallel_for(dy.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const T value = upstream[i] * df(out[i]);
            dx[i] = accumulate ? dx[i] + value : value;
          }
        });
      });
    });
  }
  return y;
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  Tensor y = apply(Binary::add, a, b, "add");
  if (recording({a, b})) {
    record("add", y, {a, b}, [](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy);
      grad.add(1, dy);
    });
  }
  return y;
}

Tensor sub(const Tensor& a, const Tensor& b) {
  Tensor y = apply(Binary::sub, a, b, "sub");
  if (recording({a, b})) {
    record("sub", y, {a, b}, [](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy);
      if (grad.needs(1)) grad.add(1, neg(dy));
    });
  }
  return y;
}

Tensor mul(const Tensor& a, const Tensor& b) {
  Tensor y = apply(Binary::mul, a, b, "mul");
  if (recording({a, b})) {
    record("mul", y, {a, b}, [a = Saved(a), b = Saved(b)](const Tensor& dy, GradSink& grad) {
      if (grad.needs(0)) grad.add(0, mul(dy, grad.input(1, b)));
      if (grad.needs(1)) grad.add(1, mul(dy, grad.input(0, a)));
    });
  }
  return y;
}

Tensor div(const Tensor& a, const Tensor& b) {
  Tensor y = apply(Binary::div, a, b, "div");
  if (recording({a, b})) {
    record("div", y, {a, b}, [b = Saved(b), y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor da = div(dy, grad.input(1, b));
      grad.add(0, da);
      // d(a/b)/db = −(a/b)/b
      if (grad.needs(1)) grad.add(1, neg(mul(da, grad.output(y))));
    });
  }
  return y;
}

namespace {

Tensor constant_like(const Tensor& x, double value) { return Tensor::full({}, value, x.dtype()); }

}  // namespace

Tensor scale(const Tensor& x, double factor) {
  const auto f = [factor](auto v) { return v * static_cast<decltype(v)>(factor); };
  return unary(
      "scale", x, f, [factor](auto v, auto) { return static_cast<decltype(v)>(factor); },
      [factor](const Tensor& x, const Tensor&) { return constant_like(x, factor); });
}

Tensor neg(const Tensor& x) {
  return unary(
      "neg", x, [](auto v) { return -v; }, [](auto v, auto) { return decltype(v)(-1); },
      [](const Tensor& x, const Tensor&) { return constant_like(x, -1); });
}

Tensor log(const Tensor& x) {
  return unary(
      "log", x, [](auto v) { return std::log(v); }, [](auto v, auto) { return 1 / v; },
      [](const Tensor& x, const Tensor&) { return div(constant_like(x, 1), x); });
}

Tensor sqrt(const Tensor& x) {
  return unary(
      "sqrt", x, [](auto v) { return std::sqrt(v); }, [](auto v, auto y) { return decltype(v)(0.5) / y; },
      [](const Tensor&, const Tensor& y) { return div(constant_like(y, 0.5), y); });
}

Tensor relu(const Tensor& x) {
  const auto f = [](auto v) { return v > 0 ? v : decltype(v)(0); };
  const auto df = [](auto v, auto) { return decltype(v)(v > 0 ? 1 : 0); };
  return unary("relu", x, f, df, [df](const Tensor& x, const Tensor&) {
    const Tensor plain = x.alias();
    Tensor step = Tensor::empty(x.shape(), x.dtype());
    dispatch_floating(x.dtype(), "relu", [&](auto zero) {
      using T = decltype(zero);
      map(x.numel(), plain.data<T>(), step.data<T>(), [df](T v) { return df(v, v); });
    });
    return step;
  });
}

Tensor sigmoid(const Tensor& x) {
  const auto f = [](auto v) { return 1 / (1 + std::exp(-v)); };
  return unary(
      "sigmoid", x, f, [](auto, auto y) { return y * (1 - y); },
      [](const Tensor&, const Tensor& y) { return sub(y, mul(y, y)); });
}

Tensor exp(const Tensor& x) {
  return unary_kernel(
      "exp", x, [](const auto& table) { return table.exp; }, [](auto y) { return y; }, [](const Tensor& y) { return y; });
}

Tensor tanh(const Tensor& x) {
  return unary_kernel(
      "tanh", x, [](const auto& table) { return table.tanh; }, [](auto y) { return 1 - y * y; },
      [](const Tensor& y) { return sub(constant_like(y, 1), mul(y, y)); });
}

Tensor gelu(const Tensor& input) {
  const Tensor x = input.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  apply_kernel(x, y, "gelu", [](const auto& table) { return table.gelu; });
  if (recording({input})) {
    record("gelu", y, {input}, [x = Saved(x)](const Tensor& dy, GradSink& grad) {
      const auto target = grad.target(0);
      dispatch_floating(dy.dtype(), "gelu", [&](auto zero) {
        using T = decltype(zero);
        const T* in = x.get(grad).data<T>();
        const T* upstream = dy.data<T>();
        T* dx = target.tensor.data<T>();
        parallel_for(dy.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
          if (!target.accumulate) std::fill(dx + begin, dx + end, T(0));
          kernels::kernels<T>().gelu_backward(end - begin, in + begin, upstream + begin, dx + begin);
        });
      });
    });
  }
  return y;
}

}  // namespace qing
