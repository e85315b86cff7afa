#include "autograd/op_samples.h"

#include <algorithm>
#include <array>

#include <qing/autograd/autograd.h>
#include <qing/autograd/op_names.h>
#include <qing/autograd/ops.h>

namespace qing::test {
namespace {

using Inputs = std::vector<Tensor>;

// A leaf of normal numbers. The stream makes inputs of one sample differ.
Tensor leaf(Shape shape, uint64_t stream = 0, double mean = 0, double stddev = 1) {
  Generator rng(7);
  rng.restore(7, stream);
  Tensor x = Tensor::empty(std::move(shape), DType::f64);
  rng.fill_normal(x, mean, stddev);
  return set_requires_grad(x);
}

Tensor positive(Shape shape, uint64_t stream = 0) {
  Generator rng(9);
  rng.restore(9, stream);
  Tensor x = Tensor::empty(std::move(shape), DType::f64);
  rng.fill_uniform(x, 0.5, 2);
  return set_requires_grad(x);
}

template <class... Shapes>
std::function<Inputs()> leaves(Shapes... shapes) {
  return [shapes...] {
    Inputs inputs;
    uint64_t stream = 0;
    (inputs.push_back(leaf(shapes, stream++)), ...);
    return inputs;
  };
}

Tensor ids(std::initializer_list<int64_t> values, Shape shape) { return Tensor::from<int64_t>(values, shape); }

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);

std::function<Tensor(const Inputs&)> on(Unary op) {
  return [op](const Inputs& in) { return op(in[0]); };
}
std::function<Tensor(const Inputs&)> on(Binary op) {
  return [op](const Inputs& in) { return op(in[0], in[1]); };
}

// The compiler refuses this table while an operation has no row.
constexpr std::array kSampledOps = {
    "add",     "sub",         "mul",       "div",           "scale",  "neg",    "exp",         "log",
    "sqrt",    "tanh",        "sigmoid",   "relu",          "gelu",   "dropout", "reshape",    "transpose",
    "permute", "expand",      "slice",     "select",        "sum",    "mean",   "softmax",     "layer_norm",
    "index_rows", "embedding", "cross_entropy", "matmul",   "linear", "linear_gelu", "attention",
    "dropout_add_layer_norm"};
constexpr bool all_sampled() {
  for (const std::string_view op : kOpNames) {
    bool found = false;
    for (const std::string_view sampled : kSampledOps) found = found || sampled == op;
    if (!found) return false;
  }
  return true;
}
static_assert(all_sampled(), "an operation of kOpNames has no sample: add one below and its name above");

Offsets offsets() { return {0, 3, 4, 4, 9}; }

}  // namespace

const std::vector<OpSample>& op_samples() {
  static const std::vector<OpSample> samples = {
      {"add", "same shape", leaves(Shape{3, 4}, Shape{3, 4}), on(static_cast<Binary>(add))},
      {"add", "row and column", leaves(Shape{4}, Shape{3, 1}), on(static_cast<Binary>(add))},
      {"add", "a tensor with itself", leaves(Shape{3}), [](const Inputs& in) { return add(in[0], in[0]); }},
      {"sub", "broadcast left", leaves(Shape{1, 4}, Shape{2, 3, 4}), on(static_cast<Binary>(sub))},
      {"mul", "broadcast right", leaves(Shape{2, 3, 4}, Shape{3, 1}), on(static_cast<Binary>(mul))},
      {"mul", "a tensor with itself", leaves(Shape{5}), [](const Inputs& in) { return mul(in[0], in[0]); }},
      {"div", "broadcast", [] { return Inputs{leaf({3, 4}), positive({4}, 1)}; }, on(static_cast<Binary>(div))},
      {"scale", "by −2.5", leaves(Shape{7}), [](const Inputs& in) { return scale(in[0], -2.5); }},
      {"neg", "vector", leaves(Shape{7}), on(static_cast<Unary>(neg))},
      {"exp", "more than a vector register", leaves(Shape{3, 7}), on(static_cast<Unary>(exp))},
      {"log", "positive", [] { return Inputs{positive({9})}; }, on(static_cast<Unary>(log))},
      {"sqrt", "positive", [] { return Inputs{positive({9})}; }, on(static_cast<Unary>(sqrt))},
      {"tanh", "matrix", leaves(Shape{3, 7}), on(static_cast<Unary>(tanh))},
      {"sigmoid", "matrix", leaves(Shape{3, 7}), on(static_cast<Unary>(sigmoid))},
      {"relu", "matrix", leaves(Shape{3, 7}), on(static_cast<Unary>(relu))},
      {"gelu", "matrix", leaves(Shape{3, 7}), on(static_cast<Unary>(gelu))},
      {"gelu", "of a sum used twice", leaves(Shape{6}, Shape{6}),
       [](const Inputs& in) {
         const Tensor s = in[0] + in[1];
         return gelu(s) * s;
       }},
      {"dropout", "p 0.4", leaves(Shape{5, 7}),
       [](const Inputs& in) {
         Generator rng(3);
         return dropout(in[0], 0.4, rng);
       }},
      {"reshape", "to columns", leaves(Shape{3, 4}), [](const Inputs& in) { return reshape(in[0], {2, -1}); }},
      {"reshape", "to the same shape", leaves(Shape{3}), [](const Inputs& in) { return reshape(in[0], {3}); }},
      {"transpose", "first and last", leaves(Shape{2, 3, 4}),
       [](const Inputs& in) { return transpose(in[0], 0, -1); }},
      {"permute", "a cycle", leaves(Shape{2, 3, 4}), [](const Inputs& in) { return permute(in[0], {2, 0, 1}); }},
      {"expand", "a new and a stretched dimension", leaves(Shape{3, 1}),
       [](const Inputs& in) { return expand(in[0], {2, 3, 4}); }},
      {"slice", "every second row", leaves(Shape{7, 2}), [](const Inputs& in) { return slice(in[0], 0, 1, 6, 2); }},
      {"select", "a column", leaves(Shape{3, 4}), [](const Inputs& in) { return select(in[0], -1, 2); }},
      {"sum", "all", leaves(Shape{3, 4}), [](const Inputs& in) { return sum(in[0]); }},
      {"sum", "middle dimension", leaves(Shape{2, 3, 4}), [](const Inputs& in) { return sum(in[0], {1}); }},
      {"sum", "first and last, kept", leaves(Shape{2, 3, 4}), [](const Inputs& in) { return sum(in[0], {0, 2}, true); }},
      {"mean", "all", leaves(Shape{3, 4}), [](const Inputs& in) { return mean(in[0]); }},
      {"mean", "last dimension", leaves(Shape{2, 3, 4}), [](const Inputs& in) { return mean(in[0], {-1}); }},
      {"softmax", "rows", leaves(Shape{3, 5}), on(static_cast<Unary>(softmax))},
      {"layer_norm", "rows", leaves(Shape{5, 11}, Shape{11}, Shape{11}),
       [](const Inputs& in) { return layer_norm(in[0], in[1], in[2], 1e-5); }},
      {"index_rows", "with a repetition", leaves(Shape{4, 3}),
       [](const Inputs& in) { return index_rows(in[0], ids({2, 0, 2}, {3})); }},
      {"embedding", "with repetitions", leaves(Shape{5, 3}),
       [](const Inputs& in) { return embedding(in[0], ids({4, 1, 1, 0}, {2, 2})); }},
      {"cross_entropy", "three classes, a row ignored", leaves(Shape{4, 3}),
       [](const Inputs& in) { return cross_entropy(in[0], ids({2, 0, -100, 1}, {4})); }},
      {"matmul", "rectangular", leaves(Shape{3, 5}, Shape{5, 4}), on(static_cast<Binary>(matmul))},
      {"matmul", "square with itself", leaves(Shape{3, 3}), [](const Inputs& in) { return matmul(in[0], in[0]); }},
      {"linear", "three dimensions", leaves(Shape{2, 3, 5}, Shape{4, 5}, Shape{4}),
       [](const Inputs& in) { return linear(in[0], in[1], in[2]); }},
      {"linear", "without bias", leaves(Shape{3, 5}, Shape{4, 5}),
       [](const Inputs& in) { return linear(in[0], in[1]); }},
      {"linear_gelu", "matrix", leaves(Shape{3, 5}, Shape{4, 5}, Shape{4}),
       [](const Inputs& in) { return linear_gelu(in[0], in[1], in[2]); }},
      {"attention", "ragged, one sequence empty", leaves(Shape{9, 6}, Shape{9, 6}, Shape{9, 6}),
       [](const Inputs& in) { return attention(in[0], in[1], in[2], offsets(), 2); }},
      {"attention", "with dropout", leaves(Shape{9, 6}, Shape{9, 6}, Shape{9, 6}),
       [](const Inputs& in) {
         Generator rng(3);
         return attention(in[0], in[1], in[2], offsets(), 3, 0.3, &rng);
       }},
      {"attention", "fewer queries than keys", leaves(Shape{4, 6}, Shape{9, 6}, Shape{9, 6}),
       [](const Inputs& in) {
         Generator rng(3);
         return attention(in[0], in[1], in[2], {0, 1, 2, 2, 4}, offsets(), 2, 0.3, &rng);
       }},
      {"attention", "query, key and value the same", leaves(Shape{9, 6}),
       [](const Inputs& in) { return attention(in[0], in[0], in[0], offsets(), 2); }},
      {"dropout_add_layer_norm", "with dropout", leaves(Shape{5, 7}, Shape{5, 7}, Shape{7}, Shape{7}),
       [](const Inputs& in) {
         Generator rng(3);
         return dropout_add_layer_norm(in[0], in[1], in[2], in[3], 1e-5, 0.3, &rng);
       }},
      {"dropout_add_layer_norm", "without, residual the input itself", leaves(Shape{5, 7}, Shape{7}, Shape{7}),
       [](const Inputs& in) { return dropout_add_layer_norm(in[0], in[0], in[1], in[2], 1e-5, 0, nullptr); }},
  };
  return samples;
}

}  // namespace qing::test
