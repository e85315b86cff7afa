// Matrix products. Gradients of weights are products that add straight into the leaf's gradient.
#include <fmt/format.h>

#include <algorithm>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/elementwise.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/ops/reduce.h>

namespace qing {
namespace {

// c = op(a)·op(b) (+ bias), contiguous matrices; the target tells whether to add.
void multiply(Trans ta, Trans tb, const Tensor& a, const Tensor& b, const GradSink::Target& c, int64_t m, int64_t n,
              int64_t k, const Tensor& bias = {}) {
  dispatch_floating(a.dtype(), "matmul", [&](auto zero) {
    using T = decltype(zero);
    gemm<T>(ta, tb, m, n, k, a.data<T>(), ta == Trans::no ? k : m, b.data<T>(), tb == Trans::no ? n : k,
            c.tensor.data<T>(), n, bias.defined() ? bias.data<T>() : nullptr, c.accumulate);
  });
}

struct LinearShape {
  int64_t rows, in, out;
  Shape result;
};

LinearShape check_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const char* op) {
  check_same_dtype(x, weight, op);
  if (bias.defined()) check_same_dtype(x, bias, op);
  const bool fits = x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1) &&
                    (!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)));
  if (!fits) {
    throw ShapeError(fmt::format("{}: x {}, weight {}, bias {} do not fit; needs [..., in], [out, in], [out]", op,
                                 to_string(x.shape()), to_string(weight.shape()),
                                 bias.defined() ? to_string(bias.shape()) : "none"));
  }
  Shape result = x.shape();
  result.back() = weight.size(0);
  const int64_t in = weight.size(1);
  int64_t rows = 1;
  for (int64_t d = 0; d + 1 < x.dim(); ++d) rows *= x.size(d);
  return {rows, in, weight.size(0), std::move(result)};
}

// From dy of y = x·Wᵀ + bias: inputs 0 x, 1 weight, 2 bias.
void linear_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const LinearShape& s, GradSink& grad) {
  if (grad.needs(0)) multiply(Trans::no, Trans::no, dy, weight, grad.target(0), s.rows, s.in, s.out);
  if (grad.needs(1)) multiply(Trans::yes, Trans::no, dy, x, grad.target(1), s.out, s.in, s.rows);
  if (grad.needs(2)) {
    const auto target = grad.target(2);
    dispatch_floating(dy.dtype(), grad.op(), [&](auto zero) {
      using T = decltype(zero);
      sum_rows(s.rows, s.out, dy.data<T>(), s.out, target.tensor.data<T>(), target.accumulate);
    });
  }
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check_same_dtype(a, b, "matmul");
  if (a.dim() != 2 || b.dim() != 2 || a.size(1) != b.size(0)) {
    throw ShapeError(fmt::format("matmul: {} times {}; needs [m, k] and [k, n]", to_string(a.shape()),
                                 to_string(b.shape())));
  }
  const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  const Tensor left = a.contiguous(), right = b.contiguous();
  Tensor y = Tensor::empty({m, n}, a.dtype());
  multiply(Trans::no, Trans::no, left, right, {y, false}, m, n, k);
  if (recording({a, b})) {
    record("matmul", y, {a, b},
           [m, n, k, a = Saved(left), b = Saved(right)](const Tensor& dy, GradSink& grad) {
             if (grad.create_graph()) {
               if (grad.needs(0)) grad.add(0, matmul(dy, transpose(grad.input(1, b), 0, 1)));
               if (grad.needs(1)) grad.add(1, matmul(transpose(grad.input(0, a), 0, 1), dy));
               return;
             }
             if (grad.needs(0)) multiply(Trans::no, Trans::yes, dy, b.get(grad), grad.target(0), m, k, n);
             if (grad.needs(1)) multiply(Trans::yes, Trans::no, a.get(grad), dy, grad.target(1), k, n, m);
           });
  }
  return y;
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const LinearShape s = check_linear(x, weight, bias, "linear");
  const Tensor in = x.contiguous(), w = weight.contiguous();
  Tensor y = Tensor::empty(s.result, x.dtype());
  multiply(Trans::no, Trans::yes, in, w, {y, false}, s.rows, s.out, s.in, bias.defined() ? bias.contiguous() : bias);
  if (recording({x, weight, bias})) {
    record("linear", y, {x, weight, bias}, [s, x = Saved(in), w = Saved(w)](const Tensor& dy, GradSink& grad) {
      linear_backward(dy, x.get(grad), w.get(grad), s, grad);
    });
  }
  return y;
}

Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const LinearShape s = check_linear(x, weight, bias, "linear_gelu");
  const Tensor in = x.contiguous(), w = weight.contiguous();
  Tensor before = Tensor::empty(s.result, x.dtype());
  multiply(Trans::no, Trans::yes, in, w, {before, false}, s.rows, s.out, s.in,
           bias.defined() ? bias.contiguous() : bias);
  Tensor y = Tensor::empty(s.result, x.dtype());
  dispatch_floating(x.dtype(), "linear_gelu", [&](auto zero) {
    using T = decltype(zero);
    const T* from = before.data<T>();
    T* to = y.data<T>();
    parallel_for(y.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
      kernels::kernels<T>().gelu(end - begin, from + begin, to + begin);
    });
  });
  if (recording({x, weight, bias})) {
    record("linear_gelu", y, {x, weight, bias},
           [s, x = Saved(in), w = Saved(w), before = Saved(before)](const Tensor& dy, GradSink& grad) {
             const Tensor through = Tensor::empty(s.result, dy.dtype());
             dispatch_floating(dy.dtype(), "linear_gelu", [&](auto zero) {
               using T = decltype(zero);
               const T* from = before.get(grad).data<T>();
               const T* upstream = dy.data<T>();
               T* to = through.data<T>();
               parallel_for(dy.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
                 std::fill(to + begin, to + end, T(0));
                 kernels::kernels<T>().gelu_backward(end - begin, from + begin, upstream + begin, to + begin);
               });
             });
             linear_backward(through, x.get(grad), w.get(grad), s, grad);
           });
  }
  return y;
}

}  // namespace qing
