#include <qing/autograd/ops/normalization.h>

#include <gtest/gtest.h>

#include <cmath>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>

#include "autograd/naive.h"

namespace qing {
namespace {

using test::at;
using test::normal;

// (x − mean)/sqrt(var + eps) of the elements for which `same` gives one value.
Tensor naive_normal(const Tensor& x, double eps, const std::function<int64_t(const std::vector<int64_t>&)>& same) {
  std::vector<double> sums(64, 0), squares(64, 0), counts(64, 0);
  test::for_each_index(x.shape(), [&](const auto& i) {
    sums[same(i)] += at(x, i);
    counts[same(i)] += 1;
  });
  test::for_each_index(x.shape(), [&](const auto& i) {
    const double d = at(x, i) - sums[same(i)] / counts[same(i)];
    squares[same(i)] += d * d;
  });
  const Tensor y = Tensor::zeros(x.shape(), x.dtype());
  test::for_each_index(x.shape(), [&](const auto& i) {
    const int64_t s = same(i);
    at(y, i) = (at(x, i) - sums[s] / counts[s]) / std::sqrt(squares[s] / counts[s] + eps);
  });
  return y;
}

TEST(Norms, NormaliseTheirDimensions) {
  const Tensor x = normal({3, 4, 2, 5}, 1);
  using Index = std::vector<int64_t>;
  const double eps = 0.01;
  const auto near = [](const Tensor& a, const Tensor& b) { EXPECT_LT(test::largest_difference(a, b), 1e-13); };
  near(batch_norm(x, {}, {}, {}, {}, true, 0.1, eps), naive_normal(x, eps, [](const Index& i) { return i[1]; }));
  near(group_norm(x, 2, {}, {}, eps), naive_normal(x, eps, [](const Index& i) { return i[0] * 2 + i[1] / 2; }));
  near(instance_norm(x, {}, {}, eps), naive_normal(x, eps, [](const Index& i) { return i[0] * 4 + i[1]; }));
  near(layer_norm(x, Shape{2, 5}, {}, {}, eps), naive_normal(x, eps, [](const Index& i) { return i[0] * 4 + i[1]; }));
  const Tensor w = normal({4}, 2), b = normal({4}, 3);
  const auto spread = [](const Tensor& v) { return v.reshape({4, 1, 1}); };
  const Tensor plain = batch_norm(x, {}, {}, {}, {}, true);
  near(batch_norm(x, {}, {}, w, b, true), plain * spread(w) + spread(b));
  near(group_norm(x, 2, w, b), group_norm(x, 2) * spread(w) + spread(b));
}

TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  const Tensor x = Tensor::from<double>({3, -4, 0, 0, 1, 1}, {3, 2}), w = Tensor::from<double>({1, 2}, {2});
  const double r = std::sqrt(12.5);
  EXPECT_LT(test::largest_difference(rms_norm(x, w, 0.0).slice(0, 0, 1), Tensor::from<double>({3 / r, -8 / r}, {1, 2})),
            1e-15);
  EXPECT_EQ(at(rms_norm(x, Shape{2}), {1, 0}), 0) << "eps keeps a row of zeros finite";
  EXPECT_LT(test::largest_difference(rms_norm(x, Shape{3, 2}, {}, 0.0), scale(x, 1 / std::sqrt(27.0 / 6))), 1e-15);
}

TEST(BatchNorm, KeepsRunningStatisticsWithTheUnbiasedVariance) {
  const Tensor x = Tensor::from<double>({1, 2, 3, 6}, {4, 1});
  const Tensor mean = Tensor::from<double>({10}, {1}), variance = Tensor::from<double>({2}, {1});
  const uint64_t version = mean.version();
  batch_norm(x, mean, variance, {}, {}, true, 0.25);
  EXPECT_NEAR(mean.item(), 0.75 * 10 + 0.25 * 3, 1e-15);
  EXPECT_NEAR(variance.item(), 0.75 * 2 + 0.25 * 14.0 / 3, 1e-15);
  EXPECT_GT(mean.version(), version) << "written in place";
  const Tensor y = batch_norm(x, mean, variance, {}, {}, false, 0.25, 0.5);
  EXPECT_NEAR(at(y, {3, 0}), (6 - mean.item()) / std::sqrt(variance.item() + 0.5), 1e-15);
}

// In evaluation mode the result of an element does not depend on other elements.
TEST(BatchNorm, InEvaluationGivesAnImageTheSameBitsInAnyBatch) {
  const Tensor x = normal({3, 4, 6}, 1, DType::f32), mean = normal({4}, 2, DType::f32), w = normal({4}, 3, DType::f32);
  const Tensor variance = Tensor::full({4}, 0.7);
  const Tensor whole = batch_norm(x, mean, variance, w);
  EXPECT_TRUE(test::same_bits(batch_norm(x.slice(0, 1, 2), mean, variance, w), whole.slice(0, 1, 2)));
}

TEST(Norms, GiveTheSameBitsOnAnyNumberOfThreads) {
  Tensor x = normal({20, 12, 300}, 1, DType::f32), w = normal({12}, 2, DType::f32), v = normal({300}, 3, DType::f32);
  for (Tensor* leaf : {&x, &w, &v}) set_requires_grad(*leaf);
  test::expect_same_bits_on_threads([&] {
    for (const Tensor* leaf : {&x, &w, &v}) zero_grad(*leaf);
    const Tensor a = batch_norm(x, {}, {}, w, {}, true), b = group_norm(x, 3, w), c = rms_norm(x, v, 1e-5);
    backward(sum(a * a * b) + sum(c * c * c));
    return std::vector<Tensor>{a, b, c, grad(x).clone(), grad(w).clone(), grad(v).clone()};
  });
}

TEST(Norms, RefuseWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 4, 3}), four = Tensor::zeros({4}), three = Tensor::zeros({3});
  EXPECT_THROW(layer_norm(x, Shape{4}), ShapeError);
  EXPECT_THROW(layer_norm(x, Shape{}), ShapeError);
  EXPECT_THROW(layer_norm(x, Shape{3}, four), ShapeError);
  EXPECT_THROW(layer_norm(Tensor::zeros({2, 0}), Shape{0}), ShapeError);
  EXPECT_THROW(rms_norm(x, four, 1e-5), ShapeError);
  EXPECT_THROW(rms_norm(x, Tensor::zeros({3}, DType::f64), 1e-5), DTypeError);
  EXPECT_THROW(batch_norm(x, three, four), ShapeError);
  EXPECT_THROW(batch_norm(x, {}, {}), ValueError);
  EXPECT_THROW(batch_norm(Tensor::zeros({1, 4}), {}, {}, {}, {}, true), ValueError);
  EXPECT_THROW(batch_norm(three, {}, {}, {}, {}, true), ShapeError);
  EXPECT_THROW(group_norm(x, 3), ValueError);
  EXPECT_THROW(group_norm(x, 0), ValueError);
  EXPECT_THROW(group_norm(x, 2, three), ShapeError);
  EXPECT_THROW(instance_norm(Tensor::zeros({2, 4})), ValueError);
}

// The fused operation gives the bits of its parts, and its gradients know their rows.
TEST(EmbeddingLayerNorm, IsTheOperationsOneAfterTheOther) {
  const auto leaf = [](const Shape& shape, uint64_t seed) {
    Tensor x = normal(shape, seed, DType::f32);
    return set_requires_grad(x);
  };
  const Tensor ids = Tensor::from<int32_t>({3, 9, 3, 0}, {4}), positions = Tensor::from<int32_t>({0, 1, 2, 0}, {4});
  const Tensor up = normal({4, 33}, 9, DType::f32);
  const auto run = [&](bool fused) {
    const std::vector<Tensor> leaves = {leaf({10, 33}, 1), leaf({2, 33}, 2), leaf({5, 33}, 3), leaf({33}, 4),
                                        leaf({33}, 5)};
    Generator rng(6);
    Tensor y;
    if (fused) {
      y = embedding_layer_norm({{leaves[0], ids}, {leaves[1]}, {leaves[2], positions}}, leaves[3], leaves[4], 1e-5, 0.3,
                               &rng);
    } else {
      const Tensor sum = add(add(embedding(leaves[0], ids), select(leaves[1], 0, 0)), embedding(leaves[2], positions));
      y = dropout(layer_norm(sum, leaves[3], leaves[4], 1e-5), 0.3, rng);
    }
    backward(y, {.gradient = up});
    std::vector<Tensor> results = {y.alias()};
    if (fused) { EXPECT_EQ(*row_grad(leaves[0]).rows, (std::vector<int64_t>{0, 3, 9})); }
    for (const Tensor& x : leaves) results.push_back(grad(x).clone());
    return results;
  };
  const std::vector<Tensor> fused = run(true), apart = run(false);
  for (size_t i = 0; i < fused.size(); ++i) EXPECT_TRUE(test::same_bits(fused[i], apart[i])) << "result " << i;
}

}  // namespace
}  // namespace qing
