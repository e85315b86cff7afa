// Matrix products. Products that are gradients of weights add straight into the leaf's gradient.
#include <qing/autograd/ops/products.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/autograd/autocast.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/bf16_products.h>
#include <qing/tensor/ops/matmul.h>
#include <qing/tensor/ops/reduce.h>

namespace qing {
namespace {

// A vector is a row on the left and a column on the right.
Tensor as_left(const Tensor& x) { return x.dim() == 1 ? x.reshape({1, x.size(0)}) : x; }
Tensor as_right(const Tensor& x) { return x.dim() == 1 ? x.reshape({x.size(0), 1}) : x; }
Tensor swapped(const Tensor& x) { return x.transpose(-2, -1); }

struct MatmulShape {
  Shape matrices;  // with a row or column in place of a vector
  Shape result;    // without it
};

MatmulShape check_matmul(const Tensor& a, const Tensor& b) {
  check_same_dtype(a, b, "matmul");
  const auto fail = [&] {
    throw ShapeError(fmt::format("matmul: {} times {}; needs [..., m, k] and [..., k, n], or vectors [k]",
                                 to_string(a.shape()), to_string(b.shape())));
  };
  if (a.dim() == 0 || b.dim() == 0) fail();
  const Tensor left = as_left(a.alias()), right = as_right(b.alias());
  if (left.size(-1) != right.size(-2)) fail();
  MatmulShape shape;
  shape.matrices = broadcast_shapes(Shape(left.shape().begin(), left.shape().end() - 2),
                                    Shape(right.shape().begin(), right.shape().end() - 2), "matmul");
  shape.result = shape.matrices;
  shape.matrices.insert(shape.matrices.end(), {left.size(-2), right.size(-1)});
  if (a.dim() > 1) shape.result.push_back(left.size(-2));
  if (b.dim() > 1) shape.result.push_back(right.size(-1));
  return shape;
}

void matmul_backward(const Tensor& upstream, const Saved& a, const Saved& b, const Shape& matrices, GradSink& grad) {
  const Tensor dy = upstream.reshape(matrices);
  if (grad.create_graph()) {
    const Tensor left = grad.input(0, a), right = grad.input(1, b);
    const auto give = [&](size_t input, const Tensor& product, const Tensor& matrix, const Tensor& like) {
      grad.add(input, sum_to_shape(product, matrix.shape()).reshape(like.shape()));
    };
    if (grad.needs(0)) give(0, matmul(dy, swapped(as_right(right))), as_left(left), left);
    if (grad.needs(1)) give(1, matmul(swapped(as_left(left)), dy), as_right(right), right);
    return;
  }
  if (grad.needs(0)) {
    const auto target = grad.target(0);
    matmul_into(dy, swapped(as_right(b.get(grad))), as_left(target.tensor), target.accumulate);
  }
  if (grad.needs(1)) {
    const auto target = grad.target(1);
    matmul_into(swapped(as_left(a.get(grad))), dy, as_right(target.tensor), target.accumulate);
  }
}

Shape check_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const char* op) {
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
  return result;
}

// x [..., columns] as [rows, columns].
Tensor flat_rows(const Tensor& x) {
  int64_t rows = 1;
  for (int64_t d = 0; d + 1 < x.dim(); ++d) rows *= x.size(d);
  return x.reshape({rows, x.size(-1)});
}

// How to compute the products of linear layers.
struct Multiply {
  bool bf16;

  explicit Multiply(DType dtype) : bf16(dtype == DType::f32 && autocast_dtype() == DType::bf16) {}

  // x [..., n] as the left operand.
  Tensor rows(const Tensor& x) const { return bf16 ? flat_rows(x) : as_left(x); }

  void operator()(const Tensor& a, const Tensor& b, const Tensor& y, bool accumulate, const Tensor& bias = {},
                  const Tensor& gelu = {}) const {
    (bf16 ? matmul_bf16_into : matmul_into)(a, b, y, accumulate, bias, gelu);
  }
};

// y = x·Wᵀ + bias; and gelu(y), if `gelu` is defined.
void linear_forward(Multiply multiply, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y,
                    const Tensor& gelu = {}) {
  multiply(multiply.rows(x), swapped(weight), multiply.rows(y), false, bias.defined() ? bias.alias() : bias, gelu);
}

// The gradients from dy of y = x·Wᵀ + bias. Inputs: 0 x, 1 weight, 2 bias.
void linear_backward(Multiply multiply, const Tensor& dy, const Saved& x, const Saved& weight, GradSink& grad) {
  if (grad.create_graph()) {
    if (grad.needs(0)) grad.add(0, matmul(dy, grad.input(1, weight)));
    if (grad.needs(1)) grad.add(1, matmul(swapped(flat_rows(dy)), flat_rows(grad.input(0, x))));
    if (grad.needs(2)) grad.add(2, sum(flat_rows(dy), {0}));
    return;
  }
  if (grad.needs(0)) {
    const auto target = grad.target(0);
    multiply(multiply.rows(dy), weight.get(grad), multiply.rows(target.tensor), target.accumulate);
  }
  if (grad.needs(1)) {
    const auto target = grad.target(1);
    multiply(swapped(multiply.rows(dy)), multiply.rows(x.get(grad)), target.tensor, target.accumulate);
  }
  if (grad.needs(2)) {
    const auto target = grad.target(2);
    const Tensor rows = flat_rows(dy);
    dispatch_floating(dy.dtype(), grad.op(), [&](auto zero) {
      using T = decltype(zero);
      sum_rows(rows.size(0), rows.size(1), rows.data<T>(), rows.size(1), target.tensor.data<T>(), target.accumulate);
    });
  }
}

void check_rank(const Tensor& x, int64_t rank, const char* op) {
  if (x.dim() == rank) return;
  throw ShapeError(fmt::format("{}: needs {} dimensions, got shape {}", op, rank, to_string(x.shape())));
}

// beta·input + alpha·product. input is not read when beta is 0.
Tensor combined(const Tensor& input, const Tensor& product, double beta, double alpha) {
  Tensor scaled = alpha == 1 ? product : scale(product, alpha);
  if (beta == 0) return scaled;
  return add(beta == 1 ? input : scale(input, beta), scaled);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  const MatmulShape shape = check_matmul(a, b);
  const Tensor left = gemm_readable(a.alias()), right = gemm_readable(b.alias());
  Tensor y = Tensor::empty(shape.result, a.dtype());
  matmul_into(as_left(left), as_right(right), y.reshape(shape.matrices), false);
  if (recording({a, b})) {
    record("matmul", y, {a, b},
           [matrices = shape.matrices, a = Saved(left), b = Saved(right)](const Tensor& dy, GradSink& grad) {
             matmul_backward(dy, a, b, matrices, grad);
           });
  }
  return y;
}

Tensor mm(const Tensor& a, const Tensor& b) {
  check_rank(a, 2, "mm");
  check_rank(b, 2, "mm");
  return matmul(a, b);
}

Tensor mv(const Tensor& matrix, const Tensor& vector) {
  check_rank(matrix, 2, "mv");
  check_rank(vector, 1, "mv");
  return matmul(matrix, vector);
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  check_rank(a, 3, "bmm");
  check_rank(b, 3, "bmm");
  if (a.size(0) != b.size(0)) {
    throw ShapeError(fmt::format("bmm: {} times {}; the first dimensions differ, matmul broadcasts them",
                                 to_string(a.shape()), to_string(b.shape())));
  }
  return matmul(a, b);
}

Tensor dot(const Tensor& a, const Tensor& b) {
  check_rank(a, 1, "dot");
  check_rank(b, 1, "dot");
  return matmul(a, b);
}

Tensor outer(const Tensor& a, const Tensor& b) {
  check_rank(a, 1, "outer");
  check_rank(b, 1, "outer");
  return mul(a.reshape({-1, 1}), b);
}

Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta, double alpha) {
  check_floating(a, "addmm");
  return combined(input, mm(a, b), beta, alpha);
}

Tensor baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta, double alpha) {
  check_floating(a, "baddbmm");
  return combined(input, bmm(a, b), beta, alpha);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check_floating(x, "linear");
  const Shape shape = check_linear(x, weight, bias, "linear");
  const Tensor in = gemm_readable(x.alias()), w = gemm_readable(weight.alias());
  Tensor y = Tensor::empty(shape, x.dtype());
  const Multiply multiply(x.dtype());
  linear_forward(multiply, in, w, bias, y);
  if (recording({x, weight, bias})) {
    record("linear", y, {x, weight, bias}, [multiply, x = Saved(in), w = Saved(w)](const Tensor& dy, GradSink& grad) {
      linear_backward(multiply, dy, x, w, grad);
    });
  }
  return y;
}

namespace {

// The rows of all parts, one below the other.
Tensor stacked(const std::vector<Tensor>& parts) {
  Shape shape = parts.front().shape();
  shape[0] = 0;
  for (const Tensor& part : parts) shape[0] += part.size(0);
  Tensor all = Tensor::empty(shape, parts.front().dtype());
  int64_t row = 0;
  for (const Tensor& part : parts) {
    Tensor to = all.slice(0, row, row + part.size(0));
    to.copy_from(part.alias());
    row += part.size(0);
  }
  return all;
}

// The gradients from dy of all results side by side. Inputs: 0 x, then the weights, then the biases. `stack` is all
// weights.
void linear_joined_backward(Multiply multiply, const Tensor& dy, const Saved& x, const std::vector<Saved>& weights,
                            const Tensor& stack, const std::vector<int64_t>& ends, GradSink& grad) {
  const Tensor rows = flat_rows(dy);
  std::vector<Tensor> parts;
  for (size_t i = 0; i < weights.size(); ++i) parts.push_back(grad.input(1 + i, weights[i]));
  if (grad.create_graph()) {
    const Tensor in = flat_rows(grad.input(0, x));
    for (size_t i = 0; i < ends.size(); ++i) {
      const int64_t begin = i == 0 ? 0 : ends[i - 1];
      const Tensor part = slice(rows, 1, begin, ends[i]);
      if (grad.needs(1 + i)) grad.add(1 + i, matmul(swapped(part), in));
      if (grad.needs(1 + ends.size() + i)) grad.add(1 + ends.size() + i, sum(part, {0}));
    }
    if (grad.needs(0)) grad.add(0, matmul(dy, cat(parts)));
    return;
  }
  if (grad.needs(0)) {
    const auto target = grad.target(0);
    multiply(multiply.rows(dy), stack, multiply.rows(target.tensor), target.accumulate);
  }
  const Tensor in = flat_rows(x.get(grad));
  for (size_t i = 0; i < ends.size(); ++i) {
    const int64_t begin = i == 0 ? 0 : ends[i - 1], width = ends[i] - begin;
    if (grad.needs(1 + i)) {
      const auto target = grad.target(1 + i);
      multiply(swapped(rows.slice(1, begin, ends[i])), in, target.tensor, target.accumulate);
    }
    if (!grad.needs(1 + ends.size() + i)) continue;
    const auto target = grad.target(1 + ends.size() + i);
    dispatch_floating(dy.dtype(), grad.op(), [&](auto zero) {
      using T = decltype(zero);
      sum_rows(rows.size(0), width, rows.data<T>() + begin, ends.back(), target.tensor.data<T>(), target.accumulate);
    });
  }
}

}  // namespace

Tensor linear_joined(const Tensor& x, const std::vector<Tensor>& weights, const std::vector<Tensor>& biases) {
  if (weights.empty() || weights.size() != biases.size()) {
    throw ShapeError(fmt::format("linear_joined: {} weights and {} biases; needs equally many of both, at least 1",
                                 weights.size(), biases.size()));
  }
  std::vector<int64_t> ends;
  Shape shape;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!biases[i].defined()) throw ShapeError(fmt::format("linear_joined: bias {} is undefined", i));
    shape = check_linear(x, weights[i], biases[i], "linear_joined");
    ends.push_back((ends.empty() ? 0 : ends.back()) + shape.back());
  }
  shape.back() = ends.back();
  const Tensor in = gemm_readable(x.alias()), stack = stacked(weights);
  Tensor y = Tensor::empty(shape, x.dtype());
  const Multiply multiply(x.dtype());
  linear_forward(multiply, in, stack, stacked(biases), y);
  std::vector<Tensor> inputs = {x};
  inputs.insert(inputs.end(), weights.begin(), weights.end());
  inputs.insert(inputs.end(), biases.begin(), biases.end());
  if (recording(inputs)) {
    std::vector<Saved> saved(weights.begin(), weights.end());
    record("linear_joined", y, inputs, [multiply, x = Saved(in), saved, stack, ends](const Tensor& dy, GradSink& grad) {
      linear_joined_backward(multiply, dy, x, saved, stack, ends, grad);
    });
  }
  return y;
}

Tensor bilinear(const Tensor& a, const Tensor& b, const Tensor& weight, const Tensor& bias) {
  const bool fits = a.dim() >= 1 && a.dim() == b.dim() && weight.dim() == 3 && a.size(-1) == weight.size(1) &&
                    b.size(-1) == weight.size(2) &&
                    std::equal(a.shape().begin(), a.shape().end() - 1, b.shape().begin());
  if (!fits) {
    throw ShapeError(fmt::format("bilinear: {}, {} and weight {} do not fit; needs [..., n], [..., m], [out, n, m]",
                                 to_string(a.shape()), to_string(b.shape()), to_string(weight.shape())));
  }
  const int64_t out = weight.size(0), m = weight.size(2);
  const Tensor left = flat_rows(a), right = flat_rows(b);
  // [rows, out·m], then the product with b for every out.
  const Tensor half = linear(left, weight.transpose(1, 2).reshape({out * m, weight.size(1)}));
  Tensor y = sum(mul(half.reshape({left.size(0), out, m}), right.unsqueeze(1)), {2});
  if (bias.defined()) y = add(y, bias);
  Shape shape = a.shape();
  shape.back() = out;
  return y.reshape(shape);
}

Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Shape shape = check_linear(x, weight, bias, "linear_gelu");
  const Tensor in = gemm_readable(x.alias()), w = gemm_readable(weight.alias());
  Tensor y = Tensor::empty(shape, x.dtype());
  const bool records = recording({x, weight, bias});
  const Tensor before = records ? Tensor::empty(shape, x.dtype()) : y;  // only the backward needs it
  const Multiply multiply(x.dtype());
  linear_forward(multiply, in, w, bias, before, y);
  if (records) {
    record("linear_gelu", y, {x, weight, bias},
           [multiply, x = Saved(in), w = Saved(w), before = Saved(before)](const Tensor& dy, GradSink& grad) {
             const Tensor through = Tensor::empty(dy.shape(), dy.dtype());
             dispatch_floating(dy.dtype(), "linear_gelu", [&](auto zero) {
               using T = decltype(zero);
               const T* from = before.get(grad).data<T>();
               const T* upstream = dy.data<T>();
               T* to = through.data<T>();
               parallel_for(dy.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
                 const T none[kernels::kUnaryParameters] = {};
                 kernels::kernels<T>().unary[static_cast<size_t>(kernels::Unary::gelu)].backward(
                     end - begin, from + begin, from + begin, upstream + begin, to + begin, false, none);
               });
             });
             linear_backward(multiply, through, x, w, grad);
           });
  }
  return y;
}

}  // namespace qing
