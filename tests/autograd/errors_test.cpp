// Wrong use: every case gives the error of its type, with the name of the operation and the facts that explain it.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <typeinfo>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/functional.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/ops/nonzero.h>
#include <qing/tensor/ops/search.h>
#include <qing/tensor/random.h>

namespace qing {
namespace {

enum class Kind { shape, dtype, index, value, autograd };

struct Misuse {
  std::string what;
  Kind kind;
  std::vector<std::string> says;  ///< parts of the message
  std::function<void()> body;
};

template <class E> bool throws(const std::function<void()>& body, std::string& text) {
  try {
    body();
  } catch (const E& error) {
    text = error.what();
    return typeid(error) == typeid(E);
  } catch (const std::exception& error) {
    text = std::string("another type: ") + error.what();
    return false;
  }
  text = "nothing was thrown";
  return false;
}

bool throws(Kind kind, const std::function<void()>& body, std::string& text) {
  switch (kind) {
    case Kind::shape: return throws<ShapeError>(body, text);
    case Kind::dtype: return throws<DTypeError>(body, text);
    case Kind::index: return throws<IndexError>(body, text);
    case Kind::value: return throws<ValueError>(body, text);
    case Kind::autograd: return throws<AutogradError>(body, text);
  }
  return false;
}

Tensor f32(Shape shape) { return Tensor::zeros(std::move(shape)); }
Tensor f64(Shape shape) { return Tensor::zeros(std::move(shape), DType::f64); }
Tensor i64(Shape shape) { return Tensor::zeros(std::move(shape), DType::i64); }
Tensor ids(std::initializer_list<int64_t> values) {
  return Tensor::from<int64_t>(values, {static_cast<int64_t>(values.size())});
}
Tensor leaf(Shape shape) {
  Tensor x = f32(std::move(shape));
  return set_requires_grad(x);
}

const std::vector<Misuse>& misuses() {
  static const std::vector<Misuse> all = {
      // tensors
      {"an undefined tensor", Kind::value, {"undefined", "Tensor::zeros"}, [] { Tensor().shape(); }},
      {"a negative size",
       Kind::value,
       {"[2, -1]", "negative"},
       [] {
         f32({2, -1});
       }},
      {"more elements than 64 bits count",
       Kind::value,
       {"64 bits"},
       [] {
         f32({int64_t{1} << 40, int64_t{1} << 40});
       }},
      {"values that do not fill the shape",
       Kind::shape,
       {"Tensor::from", "3 values", "[2, 2]"},
       [] {
         Tensor::from<float>({1, 2, 3}, {2, 2});
       }},
      {"data of another type", Kind::dtype, {"data", "f64", "f32"}, [] { f32({2}).data<double>(); }},
      {"a span over gaps",
       Kind::shape,
       {"span", "[3, 2]", "contiguous"},
       [] {
         f32({2, 3}).transpose(0, 1).span<float>();
       }},
      {"item of many", Kind::shape, {"item", "[2]"}, [] { f32({2}).item(); }},
      {"size of a dimension that is not there",
       Kind::index,
       {"size", "dimension 2"},
       [] {
         f32({2, 3}).size(2);
       }},
      {"writing to an expanded tensor",
       Kind::value,
       {"fill", "share memory", "clone"},
       [] { f32({1}).expand({3}).fill(1); }},
      {"copying from what does not broadcast", Kind::shape, {"[3]", "[2]"}, [] { f32({2}).copy_from(f32({3})); }},
      // views
      {"reshape to another count",
       Kind::shape,
       {"reshape", "6 elements", "[4]"},
       [] {
         f32({2, 3}).reshape({4});
       }},
      {"reshape with two unknown sizes",
       Kind::shape,
       {"reshape", "[-1, -1]"},
       [] {
         f32({4}).reshape({-1, -1});
       }},
      {"reshape that does not divide",
       Kind::shape,
       {"reshape", "[4, -1]"},
       [] {
         f32({6}).reshape({4, -1});
       }},
      {"transpose of a dimension that is not there",
       Kind::index,
       {"transpose", "dimension 2"},
       [] {
         transpose(f32({2, 3}), 0, 2);
       }},
      {"permute with too few dimensions",
       Kind::shape,
       {"permute", "[2, 3]"},
       [] {
         permute(f32({2, 3}), {0});
       }},
      {"permute with one twice",
       Kind::value,
       {"permute", "twice"},
       [] {
         permute(f32({2, 3}), {1, 1});
       }},
      {"expand of a size that is not 1",
       Kind::shape,
       {"expand", "[2, 3]", "[4, 3]"},
       [] {
         expand(f32({2, 3}), {4, 3});
       }},
      {"slice with step 0", Kind::value, {"slice", "step 0"}, [] { slice(f32({3}), 0, 0, 2, 0); }},
      {"slice of a dimension that is not there", Kind::index, {"slice"}, [] { slice(f32({3}), 1, 0, 2); }},
      {"select beyond the end", Kind::index, {"select", "index 3", "size 3"}, [] { select(f32({3}), 0, 3); }},
      {"squeeze of a size that is not 1",
       Kind::shape,
       {"squeeze", "[2, 3]"},
       [] {
         squeeze(f32({2, 3}), 0);
       }},
      {"unsqueeze too far", Kind::index, {"unsqueeze"}, [] { unsqueeze(f32({2}), 3); }},
      // elementwise
      {"add of shapes that do not broadcast",
       Kind::shape,
       {"add", "[2, 3]", "[2]"},
       [] {
         f32({2, 3}) + f32({2});
       }},
      {"sub of shapes that do not broadcast", Kind::shape, {"sub", "[3]", "[2]"}, [] { f32({3}) - f32({2}); }},
      {"mul of two dtypes", Kind::dtype, {"mul", "f32", "f64", "Tensor::to"}, [] { f32({2}) * f64({2}); }},
      {"div of shapes that do not broadcast",
       Kind::shape,
       {"div"},
       [] {
         f32({3, 1}) / f32({2, 1});
       }},
      {"exp of integers", Kind::dtype, {"exp", "i64", "Tensor::to"}, [] { exp(i64({2})); }},
      {"gelu of integers", Kind::dtype, {"gelu", "i64"}, [] { gelu(i64({2})); }},
      {"tanh of halves", Kind::dtype, {"tanh", "f16"}, [] { tanh(f32({2}).to(DType::f16)); }},
      {"dropout with probability 1.5",
       Kind::value,
       {"dropout", "probability 1.5"},
       [] {
         Generator rng(1);
         dropout(f32({2}), 1.5, rng);
       }},
      {"dropout with a probability that is no number",
       Kind::value,
       {"dropout", "nan"},
       [] {
         Generator rng(1);
         dropout(f32({2}), std::nan(""), rng);
       }},
      {"clamp without a bound", Kind::value, {"clamp", "bound"}, [] { clamp(f32({2}), Tensor(), Tensor()); }},
      // diagonals and distances
      {"diag_embed at one place twice",
       Kind::value,
       {"diag_embed", "dimensions are 1"},
       [] { diag_embed(f32({2}), 0, 1, -1); }},
      {"diag_embed of a number", Kind::shape, {"diag_embed", "[]"}, [] { diag_embed(f32({})); }},
      {"diag_embed beyond 64 bits",
       Kind::value,
       {"diag_embed", "range"},
       [] { diag_embed(f32({2}), std::numeric_limits<int64_t>::min()); }},
      {"diag of three dimensions",
       Kind::shape,
       {"diag", "[2, 2, 2]", "diagonal"},
       [] {
         diag(f32({2, 2, 2}));
       }},
      {"normalize of integers",
       Kind::dtype,
       {"normalize", "i64"},
       [] {
         normalize(i64({2, 2}));
       }},
      {"normalize along a dimension that is not there",
       Kind::index,
       {"normalize", "dimension 1"},
       [] { normalize(f32({2})); }},
      {"cosine_similarity of shapes that do not broadcast",
       Kind::shape,
       {"cosine_similarity", "[2, 3]", "[2, 4]"},
       [] {
         cosine_similarity(f32({2, 3}), f32({2, 4}));
       }},
      {"pairwise_distance of two dtypes",
       Kind::dtype,
       {"pairwise_distance", "f32", "f64"},
       [] {
         pairwise_distance(f32({2, 3}), f64({2, 3}));
       }},
      {"pairwise_distance of shapes that do not broadcast",
       Kind::shape,
       {"pairwise_distance", "[2, 3]", "[2, 4]"},
       [] {
         pairwise_distance(f32({2, 3}), f32({2, 4}));
       }},
      // reductions and norms
      {"instance_norm by statistics that are not there",
       Kind::value,
       {"instance_norm", "running_mean"},
       [] {
         instance_norm(f32({2, 3, 4}), {}, {}, {}, {}, false);
       }},
      {"sum over a dimension that is not there",
       Kind::index,
       {"sum", "dimension 2"},
       [] {
         sum(f32({2, 3}), {2});
       }},
      {"the largest of nothing",
       Kind::value,
       {"amax", "[2, 0]"},
       [] {
         amax(f32({2, 0}), {1});
       }},
      {"layer_norm with a weight of another width",
       Kind::shape,
       {"layer_norm", "[2, 3]", "[2]"},
       [] {
         layer_norm(f32({2, 3}), f32({2}), f32({2}), 1e-5);
       }},
      {"layer_norm of two dtypes",
       Kind::dtype,
       {"layer_norm"},
       [] {
         layer_norm(f32({2, 3}), f64({3}), f32({3}), 1e-5);
       }},
      {"dropout_add_layer_norm with another residual",
       Kind::shape,
       {"dropout_add_layer_norm", "[2, 3]", "[3, 3]"},
       [] {
         dropout_add_layer_norm(f32({2, 3}), f32({3, 3}), f32({3}), f32({3}), 1e-5, 0, nullptr);
       }},
      {"embedding_layer_norm without ids",
       Kind::shape,
       {"embedding_layer_norm", "ids"},
       [] {
         embedding_layer_norm({{f32({2, 3})}}, f32({3}), f32({3}), 1e-5, 0, nullptr);
       }},
      {"embedding_layer_norm of tables of two widths",
       Kind::shape,
       {"embedding_layer_norm", "[2, 4]", "[3]"},
       [] {
         embedding_layer_norm({{f32({2, 3}), i64({2})}, {f32({2, 4})}}, f32({3}), f32({3}), 1e-5, 0, nullptr);
       }},
      {"embedding_layer_norm with fewer positions than ids",
       Kind::shape,
       {"embedding_layer_norm", "[1]", "[2]"},
       [] {
         embedding_layer_norm({{f32({2, 3}), i64({2})}, {f32({2, 3}), i64({1})}}, f32({3}), f32({3}), 1e-5, 0, nullptr);
       }},
      // indexing
      {"index_select beyond the end",
       Kind::index,
       {"index 4", "position [1]", "[0, 4)"},
       [] {
         index_select(f32({4, 2}), 0, ids({0, 4}));
       }},
      {"index_select by floats",
       Kind::dtype,
       {"f32", "i32 or i64"},
       [] {
         index_select(f32({4, 2}), 0, f32({2}));
       }},
      {"index_select by a matrix",
       Kind::shape,
       {"index_select", "[2, 2]"},
       [] {
         index_select(f32({4, 2}), 0, i64({2, 2}));
       }},
      {"embedding of a negative id",
       Kind::index,
       {"embedding", "index -1"},
       [] {
         embedding(f32({4, 2}), ids({-1}));
       }},
      {"embedding from a vector", Kind::shape, {"embedding", "[4]"}, [] { embedding(f32({4}), ids({0})); }},
      {"scatter_reduce of integers",
       Kind::dtype,
       {"scatter_reduce", "i64"},
       [] { scatter_reduce(i64({2}), 0, ids({0}), i64({1}), ScatterReduce::sum); }},
      {"scatter_reduce of two dtypes",
       Kind::dtype,
       {"scatter_reduce", "f32", "f64"},
       [] { scatter_reduce(f32({2}), 0, ids({0}), f64({1}), ScatterReduce::amax); }},
      {"scatter_reduce by an index of another rank",
       Kind::shape,
       {"scatter_reduce", "[2]", "[4, 2]"},
       [] {
         scatter_reduce(f32({4, 2}), 0, ids({0, 1}), f32({4, 2}), ScatterReduce::prod);
       }},
      {"scatter_reduce beyond the end",
       Kind::index,
       {"scatter_reduce", "index 2", "[0, 2)"},
       [] { scatter_reduce(f32({2}), 0, ids({2}), f32({1}), ScatterReduce::mean); }},
      {"scatter_reduce from a source that is too small",
       Kind::shape,
       {"scatter_reduce", "[1]", "[2]"},
       [] {
         scatter_reduce(f32({2}), 0, ids({0, 1}), f32({1}), ScatterReduce::amin);
       }},
      {"index by more tensors than dimensions",
       Kind::index,
       {"index", "2 indices", "[4]"},
       [] {
         index(f32({4}), {ids({0}), ids({0})});
       }},
      {"index by nothing", Kind::value, {"index", "defined"}, [] { index(f32({4}), {Tensor()}); }},
      {"index before the beginning",
       Kind::index,
       {"index", "-5", "position [1]"},
       [] {
         index(f32({4}), {ids({0, -5})});
       }},
      {"index by floats", Kind::dtype, {"index", "f32"}, [] { index(f32({4}), {f32({2})}); }},
      {"index by tensors that do not broadcast",
       Kind::shape,
       {"index", "[2]", "[3]"},
       [] {
         index(f32({4, 4}), {ids({0, 1}), ids({0, 1, 2})});
       }},
      {"index by a mask of another size",
       Kind::shape,
       {"index", "mask [3]", "[4, 2]"},
       [] {
         index(f32({4, 2}), {Tensor::zeros({3}, DType::boolean)});
       }},
      {"index_put of values that do not broadcast",
       Kind::shape,
       {"index_put", "[3]", "[2]"},
       [] {
         index_put(f32({4}), {ids({0, 1})}, f32({3}));
       }},
      {"index_put of another dtype",
       Kind::dtype,
       {"index_put", "f32", "f64"},
       [] {
         index_put(f32({4}), {ids({0, 1})}, f64({2}));
       }},
      {"embedding_bag with weights for a mean",
       Kind::value,
       {"embedding_bag", "per_sample_weights", "sum"},
       [] {
         embedding_bag(f32({4, 2}), i64({2, 3}), {}, BagMode::mean, -1, f32({2, 3}));
       }},
      {"embedding_bag with weights of another shape",
       Kind::shape,
       {"embedding_bag", "[3]", "[2, 3]"},
       [] {
         embedding_bag(f32({4, 2}), i64({2, 3}), {}, BagMode::sum, -1, f32({3}));
       }},
      {"embedding_bag without offsets",
       Kind::shape,
       {"embedding_bag", "undefined", "[bags, n]"},
       [] {
         embedding_bag(f32({4, 2}), ids({0, 1}));
       }},
      // losses
      {"cross_entropy with too many targets",
       Kind::shape,
       {"cross_entropy", "[2, 3]", "[3]"},
       [] {
         cross_entropy(f32({2, 3}), i64({3}));
       }},
      {"cross_entropy with a target out of range",
       Kind::index,
       {"cross_entropy", "target 3", "row 1", "[0, 3)"},
       [] {
         cross_entropy(f32({2, 3}), ids({0, 3}));
       }},
      {"cross_entropy with float targets",
       Kind::dtype,
       {"cross_entropy", "f64"},
       [] {
         cross_entropy(f32({2, 3}), f64({2}));
       }},
      {"cross_entropy where no row counts",
       Kind::value,
       {"cross_entropy", "2 rows"},
       [] {
         cross_entropy(f32({2, 3}), ids({-100, -100}));
       }},
      // products
      {"matmul of inner sizes that differ",
       Kind::shape,
       {"matmul", "[2, 3]", "[2, 4]"},
       [] {
         matmul(f32({2, 3}), f32({2, 4}));
       }},
      {"matmul of two dtypes",
       Kind::dtype,
       {"matmul", "f32", "f64"},
       [] {
         matmul(f32({2, 3}), f64({3, 4}));
       }},
      {"linear with a weight of another width",
       Kind::shape,
       {"linear", "[2, 3]", "[4, 5]"},
       [] {
         linear(f32({2, 3}), f32({4, 5}));
       }},
      {"linear with a bias of another width",
       Kind::shape,
       {"linear", "[5]"},
       [] {
         linear(f32({2, 3}), f32({4, 3}), f32({5}));
       }},
      {"linear_gelu of two dtypes",
       Kind::dtype,
       {"linear_gelu"},
       [] {
         linear_gelu(f32({2, 3}), f64({4, 3}), f64({4}));
       }},
      // attention
      {"linear_joined without a bias",
       Kind::shape,
       {"linear_joined", "1 weights", "0 biases"},
       [] {
         linear_joined(f32({2, 3}), {f32({4, 3})}, {});
       }},
      {"linear_joined of a weight that does not fit",
       Kind::shape,
       {"linear_joined", "[4, 2]"},
       [] {
         linear_joined(f32({2, 3}), {f32({4, 3}), f32({4, 2})}, {f32({4}), f32({4})});
       }},
      {"packed attention of a width that is no multiple of 3",
       Kind::shape,
       {"attention_qkv_packed", "[2, 4]"},
       [] {
         attention_qkv_packed(f32({2, 4}), {0, 2}, 1);
       }},
      {"packed attention with keys of another width",
       Kind::shape,
       {"attention_kv_packed", "[2, 4]", "[2, 6]"},
       [] {
         attention_kv_packed(f32({2, 4}), f32({2, 6}), {0, 2}, {0, 2}, 1);
       }},
      {"attention with heads that do not divide",
       Kind::value,
       {"attention", "width 4", "3 heads"},
       [] {
         attention(f32({2, 4}), f32({2, 4}), f32({2, 4}), {0, 2}, 3);
       }},
      {"attention with offsets that end early",
       Kind::value,
       {"attention", "2 tokens"},
       [] {
         attention(f32({2, 4}), f32({2, 4}), f32({2, 4}), {0, 1}, 2);
       }},
      {"attention with offsets that fall",
       Kind::value,
       {"attention", "rise"},
       [] {
         attention(f32({2, 4}), f32({2, 4}), f32({2, 4}), {0, 3, 2}, 2);
       }},
      {"attention with queries but no keys",
       Kind::value,
       {"attention", "sequence 0"},
       [] {
         attention(f32({2, 4}), f32({2, 4}), f32({2, 4}), {0, 1, 2}, {0, 0, 2}, 2);
       }},
      {"attention with values of another shape",
       Kind::shape,
       {"attention", "[3, 4]"},
       [] {
         attention(f32({2, 4}), f32({2, 4}), f32({3, 4}), {0, 2}, 2);
       }},
      // the graph
      {"a gradient for integers",
       Kind::dtype,
       {"set_requires_grad", "i64"},
       [] {
         Tensor x = i64({2});
         set_requires_grad(x);
       }},
      {"a result that shall require nothing",
       Kind::autograd,
       {"set_requires_grad", "neg", "detach"},
       [] {
         Tensor y = neg(leaf({2}));
         set_requires_grad(y, false);
       }},
      {"backward from what was not recorded", Kind::autograd, {"backward", "NoGradGuard"}, [] { backward(f32({})); }},
      {"backward from many elements", Kind::autograd, {"backward", "[2]"}, [] { backward(neg(leaf({2}))); }},
      {"backward with a gradient of another shape",
       Kind::shape,
       {"backward", "[3]", "[2]"},
       [] { backward(neg(leaf({2})), {.gradient = f32({3})}); }},
      {"backward with a gradient of another dtype",
       Kind::dtype,
       {"backward", "f64", "f32"},
       [] { backward(neg(leaf({2})), {.gradient = f64({2})}); }},
      {"backward a second time",
       Kind::autograd,
       {"backward", "neg", "retain_graph"},
       [] {
         const Tensor y = neg(leaf({}));
         backward(y);
         backward(y);
       }},
      {"backward through a tensor that was written",
       Kind::autograd,
       {"mul", "in place", "clone"},
       [] {
         const Tensor x = leaf({});
         Tensor half = f32({});
         const Tensor y = x * half;
         half.fill(2);
         backward(y);
       }},
      {"a buffer of another shape",
       Kind::shape,
       {"set_grad_buffer", "[2]", "[3]"},
       [] { set_grad_buffer(leaf({2}), f32({3})); }},
      {"gradients of an input that is not used",
       Kind::autograd,
       {"gradients", "input 0", "allow_unused"},
       [] { gradients(neg(leaf({})), {leaf({})}); }},
      {"a hook on what has no gradient",
       Kind::autograd,
       {"register_hook", "set_requires_grad"},
       [] { register_hook(f32({}), {}); }},
      {"a hessian of many elements",
       Kind::shape,
       {"hessian", "[2]"},
       [] { hessian([](const Tensor& x) { return x; }, f64({2})); }},
      // joining and arranging
      {"cat along a dimension that the first has not",
       Kind::shape,
       {"cat", "[3]", "dimension 1"},
       [] {
         cat({f32({3}), f32({2, 3})}, 1);
       }},
      {"repeat_interleave beyond 64 bits",
       Kind::value,
       {"repeat_interleave", "64 bits"},
       [] { repeat_interleave(f32({4}), int64_t{1} << 62, 0); }},
      {"repeat beyond 64 bits", Kind::value, {"repeat", "64 bits"}, [] { repeat(f32({4}), {int64_t{1} << 62}); }},
      {"pad beyond 64 bits",
       Kind::value,
       {"pad", "range"},
       [] {
         pad(f32({3}), {std::numeric_limits<int64_t>::max(), 1});
       }},
      {"rows of merge_rows changed before the backward",
       Kind::autograd,
       {"merge_rows", "in place"},
       [] {
         Tensor part = f32({2, 3}), rows = Tensor::arange(2);
         set_requires_grad(part);
         const Tensor y = sum(merge_rows({part}, {rows}, 2));
         rows.fill(40);
         backward(y);
       }},
      {"merge_rows to more rows than there are",
       Kind::value,
       {"merge_rows", "2 rows", "1125899906842624"},
       [] {
         merge_rows({f32({2, 3})}, {Tensor::arange(2)}, int64_t{1} << 50);
       }},
      {"merge_rows of another width",
       Kind::shape,
       {"merge_rows", "[2, 4]", "[n, 3]"},
       [] {
         merge_rows({f32({2, 3}), f32({2, 4})}, {Tensor::arange(2), Tensor::arange(2)}, 4);
       }},
      {"attention of no query heads to some key heads",
       Kind::shape,
       {"scaled_dot_product_attention", "[1, 0, 4, 8]"},
       [] {
         scaled_dot_product_attention(f32({1, 0, 4, 8}), f32({1, 2, 4, 8}), f32({1, 2, 4, 8}));
       }},
      // counting
      {"bincount of what is no small number",
       Kind::value,
       {"bincount", "1000000000000000"},
       [] { bincount(Tensor::full({1}, 1e15, DType::i64)); }},
      {"one_hot of what is no small number",
       Kind::value,
       {"one_hot", "1000000000000000"},
       [] { one_hot(Tensor::full({1}, 1e15, DType::i64)); }},
      {"any along a dimension that a scalar has not", Kind::index, {"any", "1"}, [] { any(f32({}), {1}); }},
      {"argmax likewise", Kind::index, {"argmax", "3"}, [] { argmax(f32({}), 3); }},
      // random numbers
      {"a bound of 0", Kind::value, {"below", "0"}, [] { Generator(1).below(0); }},
      {"uniform numbers in a transposed tensor",
       Kind::shape,
       {"fill_uniform", "[3, 2]", "copy_from()"},
       [] {
         Tensor x = f32({2, 3}).transpose(0, 1);
         Generator(1).fill_uniform(x, 0, 1);
       }},
      {"integers in every second element",
       Kind::shape,
       {"fill_integers", "[2]", "copy_from()"},
       [] {
         Tensor x = Tensor::arange(4).slice(0, 0, 4, 2);
         Generator(1).fill_integers(x, 0, 9);
       }},
      // class indices as floating numbers
      {"labels in f32",
       Kind::dtype,
       {"cross_entropy", "[2]", "class indices", "f32", "to(DType::i64)"},
       [] {
         cross_entropy(f32({2, 3}), f32({2}));
       }},
      {"labels in f64 for logits in f32",
       Kind::dtype,
       {"cross_entropy", "class indices", "f64", "to(DType::i64)"},
       [] {
         cross_entropy(f32({2, 3}), f64({2}));
       }},
      {"labels of nll_loss in f32",
       Kind::dtype,
       {"nll_loss", "class indices", "f32", "to(DType::i64)"},
       [] {
         nll_loss(f32({2, 3}), f32({2}));
       }},
      {"probabilities of another shape",
       Kind::shape,
       {"cross_entropy", "probabilities [2, 4]", "logits [2, 3]"},
       [] {
         cross_entropy(f32({2, 3}), f32({2, 4}));
       }},
  };
  return all;
}

TEST(Misuse, GivesATypedErrorThatNamesTheOperation) {
  EXPECT_GE(misuses().size(), 60U);
  for (const Misuse& misuse : misuses()) {
    std::string text;
    EXPECT_TRUE(throws(misuse.kind, misuse.body, text)) << misuse.what << ": " << text;
    for (const std::string& part : misuse.says) {
      EXPECT_NE(text.find(part), std::string::npos) << misuse.what << ": '" << part << "' is not in: " << text;
    }
  }
}

// grad() is undefined before backward().
TEST(Undefined, AGradientNamesTheOperationAndTheRemedy) {
  Tensor w = f32({3});
  set_requires_grad(w);
  const Tensor g = grad(w);
  Tensor step = f32({3});
  const std::vector<std::pair<std::string, std::function<void()>>> uses = {
      {"mul", [&] { g * 0.1; }},
      {"add", [&] { w + g; }},
      {"sub", [&] { w - g; }},
      {"div", [&] { g / w; }},
      {"exp", [&] { exp(g); }},
      {"sum", [&] { sum(g); }},
      {"mean", [&] { mean(g); }},
      {"norm", [&] { norm(g); }},
      {"amax", [&] { max(g); }},
      {"matmul", [&] { matmul(g, w); }},
      {"mse_loss", [&] { mse_loss(g, w); }},
      {"cross_entropy", [&] { cross_entropy(g, w); }},
      {"sub_", [&] { step.sub_(g, 0.1); }},
      {"copy_from", [&] { step.copy_from(g); }},
      {"item", [&] { g.item(); }},
      {"at", [&] { g.at({0}); }},
      {"span", [&] { g.span<float>(); }},
      {"backward", [&] { backward(g); }},
      {"Tensor", [&] { g.shape(); }},
  };
  for (const auto& [op, use] : uses) {
    std::string text;
    EXPECT_TRUE(throws(Kind::value, use, text)) << op;
    EXPECT_EQ(text.find(op + ": a tensor is undefined; grad() gives such a one before backward()"), 0U) << text;
  }
}

}  // namespace
}  // namespace qing
