#include <qing/autograd/ops/products.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/reductions.h>

#include "autograd/naive.h"

namespace qing {
namespace {

using test::at;
using test::normal;

Tensor naive_matmul(const Tensor& a, const Tensor& b) {
  const Tensor left = a.dim() == 1 ? a.unsqueeze(0) : a, right = b.dim() == 1 ? b.unsqueeze(1) : b;
  Shape batch = broadcast_shapes(Shape(left.shape().begin(), left.shape().end() - 2),
                                 Shape(right.shape().begin(), right.shape().end() - 2), "naive");
  const auto spread = [&](const Tensor& x) {
    Shape shape = batch;
    shape.insert(shape.end(), x.shape().end() - 2, x.shape().end());
    return x.expand(shape);
  };
  const Tensor x = spread(left), y = spread(right);
  Shape shape = batch;
  shape.push_back(left.size(-2));
  shape.push_back(right.size(-1));
  const Tensor z = Tensor::zeros(shape, DType::f64);
  test::for_each_index(shape, [&](const std::vector<int64_t>& index) {
    auto from_x = index, from_y = index;
    for (int64_t k = 0; k < left.size(-1); ++k) {
      from_x[index.size() - 1] = from_y[index.size() - 2] = k;
      at(z, index) += at(x, from_x) * at(y, from_y);
    }
  });
  Tensor result = z;
  if (a.dim() == 1) result = result.squeeze(-2);
  if (b.dim() == 1) result = result.squeeze(-1);
  return result;
}

// A tensor of `shape` with a random layout: permuted, with steps, or contiguous.
Tensor scattered(const Shape& shape, uint64_t seed, int way) {
  const auto rank = static_cast<int64_t>(shape.size());
  if (way == 1 && rank >= 2) {
    Shape swapped = shape;
    std::swap(swapped[rank - 1], swapped[rank - 2]);
    return normal(swapped, seed).transpose(-1, -2);
  }
  if (way == 2 && rank >= 2) {
    Shape swapped = shape;
    std::swap(swapped[0], swapped[rank - 1]);
    return normal(swapped, seed).transpose(0, -1);
  }
  if (way == 3) {
    Shape wide = shape;
    wide.back() *= 2;
    return normal(wide, seed).slice(-1, 0, wide.back(), 2);
  }
  return normal(shape, seed);
}

TEST(Matmul, EqualsNaiveForEveryBroadcastAndLayout) {
  EXPECT_TRUE(rc::check([] {
    const auto size = [] { return *rc::gen::inRange<int64_t>(0, 5); };
    const int64_t m = size(), k = size(), n = size();
    const auto batch_dims = *rc::gen::inRange<size_t>(0, 4);
    Shape a, b;
    for (size_t d = 0; d < batch_dims; ++d) {
      const int64_t both = size();
      const int which = *rc::gen::inRange(0, 4);  // 0, 3: equal sizes; 1, 2: one of them is broadcast
      a.push_back(which == 1 ? 1 : both);
      b.push_back(which == 2 ? 1 : both);
    }
    const auto lacking = *rc::gen::inRange<size_t>(0, batch_dims + 1);
    Shape& shorter = *rc::gen::arbitrary<bool>() ? a : b;
    shorter.erase(shorter.begin(), shorter.begin() + static_cast<int64_t>(lacking));
    if (!(a.empty() && *rc::gen::inRange(0, 3) == 0)) a.push_back(m);
    a.push_back(k);
    b.push_back(k);
    if (!(b.size() == 1 && *rc::gen::inRange(0, 3) == 0)) b.push_back(n);
    const Tensor x = scattered(a, 1, *rc::gen::inRange(0, 4)), y = scattered(b, 2, *rc::gen::inRange(0, 4));
    RC_ASSERT(test::largest_difference(matmul(x, y), naive_matmul(x, y)) < 1e-13);
  }));
}

TEST(Matmul, GradientsOfBroadcastOperandsAreSumsOverTheBatch) {
  EXPECT_TRUE(rc::check([] {
    const auto size = [] { return *rc::gen::inRange<int64_t>(0, 4); };
    const int64_t m = size(), k = size(), n = size(), p = size(), q = size();
    const bool left = *rc::gen::arbitrary<bool>();
    const Shape small = *rc::gen::element(Shape{}, Shape{q}, Shape{1}, Shape{p, 1}, Shape{1, q}, Shape{p, q});
    Shape a{p, q, m, k}, b = small;
    b.insert(b.end(), {k, n});
    if (left) {
      a = small;
      a.insert(a.end(), {m, k});
      b = {p, q, k, n};
    }
    Tensor x = scattered(a, 1, *rc::gen::inRange(0, 4)), y = scattered(b, 2, *rc::gen::inRange(0, 4));
    set_requires_grad(x);
    set_requires_grad(y);
    const Tensor dz = scattered({p, q, m, n}, 3, *rc::gen::inRange(0, 4)).contiguous();
    backward(matmul(x, y), {.gradient = dz});
    const Tensor dx = sum_to_shape(naive_matmul(dz, y.alias().transpose(-1, -2)), a);
    const Tensor dy = sum_to_shape(naive_matmul(x.alias().transpose(-1, -2), dz), b);
    RC_ASSERT(test::largest_difference(grad(x), dx) < 1e-13);
    RC_ASSERT(test::largest_difference(grad(y), dy) < 1e-13);
  }));
}

TEST(Matmul, BitsDependNeitherOnThreadsNorOnTheOtherProducts) {
  for (const int64_t size : {3, 40, 190}) {
    Tensor a = normal({5, size, 70}, 1, DType::f32), b = normal({5, 70, size + 1}, 2, DType::f32);
    set_requires_grad(a);
    set_requires_grad(b);
    test::expect_same_bits_on_threads([&] {
      zero_grad(a);
      zero_grad(b);
      const Tensor y = matmul(a, b);
      backward(sum(y));
      return std::vector<Tensor>{y, grad(a).clone(), grad(b).clone()};
    });
    const Tensor whole = matmul(a, b);
    for (int64_t i = 0; i < 5; ++i) {
      EXPECT_TRUE(test::same_bits(matmul(a.select(0, i), b.select(0, i)), whole.select(0, i))) << size << ", " << i;
    }
  }
}

TEST(Linear, GivesARowTheSameBitsInAnyBatchAndLayout) {
  const Tensor x = normal({3, 7, 20}, 1, DType::f32), w = normal({9, 20}, 2, DType::f32),
               b = normal({9}, 3, DType::f32);
  const Tensor whole = linear(x, w, b);
  const Tensor transposed =
      linear(x.transpose(0, 1).contiguous().transpose(0, 1), w.transpose(0, 1).contiguous().transpose(0, 1), b);
  EXPECT_TRUE(test::same_bits(whole, transposed));
  EXPECT_TRUE(test::same_bits(linear(x.select(0, 1).select(0, 4), w, b), whole.select(0, 1).select(0, 4)));
}

TEST(Products, NamesOfShapesThatDoNotFit) {
  const auto zeros = [](Shape shape) { return Tensor::zeros(std::move(shape)); };
  const auto message = [](const auto& body) -> std::string {
    try {
      body();
    } catch (const ShapeError& error) { return error.what(); }
    return "nothing was thrown";
  };
  EXPECT_EQ(message([&] {
              matmul(zeros({2, 3}), zeros({2, 3}));
            }),
            "matmul: [2, 3] times [2, 3]; needs [..., m, k] and [..., k, n], or vectors [k]");
  EXPECT_EQ(message([&] { matmul(zeros({2, 3, 4}), zeros({5, 4, 3})); }).rfind("matmul: ", 0), 0U);
  EXPECT_EQ(message([&] { matmul(zeros({}), zeros({1})); }).rfind("matmul: [] times [1]", 0), 0U);
  EXPECT_EQ(message([&] { mm(zeros({2, 3, 4}), zeros({4, 3})); }), "mm: needs 2 dimensions, got shape [2, 3, 4]");
  EXPECT_EQ(message([&] { bmm(zeros({2, 3, 4}), zeros({1, 4, 3})); }).rfind("bmm: [2, 3, 4] times [1, 4, 3]", 0), 0U);
  EXPECT_EQ(message([&] { mv(zeros({2, 3}), zeros({3, 1})); }).rfind("mv: ", 0), 0U);
  EXPECT_EQ(message([&] { dot(zeros({2}), zeros({3})); }).rfind("matmul: [2] times [3]", 0), 0U);
  EXPECT_EQ(message([&] { outer(zeros({2}), zeros({3, 1})); }).rfind("outer: ", 0), 0U);
  EXPECT_THROW(matmul(zeros({2, 2}), Tensor::zeros({2, 2}, DType::f64)), DTypeError);
  EXPECT_THROW(matmul(Tensor::zeros({2, 2}, DType::i64), Tensor::zeros({2, 2}, DType::i64)), DTypeError);
  EXPECT_THROW(bilinear(zeros({2, 3}), zeros({1, 3}), zeros({4, 3, 3})), ShapeError);
}

// One product instead of three: the same bits.
TEST(LinearJoined, IsTheLayersSideBySide) {
  const Tensor x = normal({37, 20}, 1, DType::f32);
  const std::vector<Tensor> weights = {normal({33, 20}, 2, DType::f32), normal({5, 20}, 3, DType::f32)};
  const std::vector<Tensor> biases = {normal({33}, 4, DType::f32), normal({5}, 5, DType::f32)};
  const Tensor joined = linear_joined(x, weights, biases);
  ASSERT_EQ(joined.shape(), (Shape{37, 38}));
  EXPECT_TRUE(test::same_bits(joined.slice(1, 0, 33).contiguous(), linear(x, weights[0], biases[0])));
  EXPECT_TRUE(test::same_bits(joined.slice(1, 33, 38).contiguous(), linear(x, weights[1], biases[1])));
}

}  // namespace
}  // namespace qing
