#include <qing/autograd/ops/losses.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/reductions.h>

#include "autograd/naive.h"

namespace qing {
namespace {

using test::normal;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor row(std::initializer_list<double> values) {
  return Tensor::from<double>(values, {static_cast<int64_t>(values.size())});
}
Tensor classes(std::initializer_list<int64_t> values) {
  return Tensor::from<int64_t>(values, {static_cast<int64_t>(values.size())});
}

// −Σ weight·q·log softmax of one row, by the definition.
double naive_row(const std::vector<double>& x, const std::vector<double>& q, const std::vector<double>& weight) {
  double total = 0, loss = 0;
  for (const double v : x) total += std::exp(v);
  for (size_t c = 0; c < x.size(); ++c) loss -= weight[c] * q[c] * (x[c] - std::log(total));
  return loss;
}

TEST(CrossEntropy, WeighsSmoothsAndIgnoresAsDefined) {
  const std::vector<double> a{0.3, -1, 2}, b{1, 0.5, -0.5}, weight{0.5, 1, 3};
  const Tensor x = Tensor::from<double>({0.3, -1, 2, 9, 9, 9, 1, 0.5, -0.5}, {3, 3}), targets = classes({2, -100, 0});
  const double e = 0.1;
  const auto smooth = [&](size_t target) {
    std::vector<double> q(3, e / 3);
    q[target] += 1 - e;
    return q;
  };
  const double first = naive_row(a, smooth(2), weight), second = naive_row(b, smooth(0), weight);
  CrossEntropyOptions options{.weight = row({0.5, 1, 3}), .label_smoothing = e};
  EXPECT_NEAR(cross_entropy(x, targets, options).item(), (first + second) / 3.5, 1e-14);
  options.reduction = Reduction::sum;
  EXPECT_NEAR(cross_entropy(x, targets, options).item(), first + second, 1e-14);
  options.reduction = Reduction::none;
  EXPECT_LT(test::largest_difference(cross_entropy(x, targets, options), row({first, 0, second})), 1e-14);
}

TEST(CrossEntropy, OfProbabilitiesOfOneClassIsThatOfTheClass) {
  const Tensor x = normal({4, 5}, 1), one_hot = Tensor::zeros({4, 5}, DType::f64);
  const int64_t targets[] = {3, 0, 4, 4};
  for (int64_t r = 0; r < 4; ++r) test::at(one_hot, {r, targets[r]}) = 1;
  EXPECT_NEAR(cross_entropy(x, one_hot).item(), cross_entropy(x, classes({3, 0, 4, 4})).item(), 1e-15);
}

TEST(CrossEntropy, HandlesExcludedClassesAndHugeLogits) {
  Tensor x = Tensor::from<double>({1e4, -kInfinity, 0, -1e4, 0, 1e4}, {2, 3});
  set_requires_grad(x);
  const Tensor loss = cross_entropy(x, classes({0, 0}), {.reduction = Reduction::none});
  EXPECT_EQ(test::at(loss, {0}), 0);
  EXPECT_EQ(test::at(loss, {1}), 2e4);
  backward(sum(loss));
  EXPECT_LT(test::largest_difference(grad(x), Tensor::from<double>({0, 0, 0, -1, 0, 1}, {2, 3})), 1e-15);
  EXPECT_NEAR(cross_entropy(row({1, -kInfinity, 1}), row({0.5, 0, 0.5})).item(), std::log(2), 1e-15);
}

// Rounding errors come from softmax and its logarithm, whose bounds are in tensor/kernels, and from the difference to
// the target's logit.
TEST(CrossEntropy, IsAccurateInSinglePrecision) {
  const double eps = std::numeric_limits<float>::epsilon();
  for (const int64_t classes : {2, 3, 16, 33, 1000}) {
    for (const double spread : {0.1, 3.0, 30.0}) {
      Tensor logits = normal({4, classes}, 3, DType::f32);
      logits.mul_(spread);
      set_requires_grad(logits);
      const Tensor targets = Tensor::from<int64_t>({0, 1, classes - 1, classes / 2}, {4});
      const Tensor losses = cross_entropy(logits, targets, {.reduction = Reduction::none});
      const Tensor slopes = gradients(sum(losses), {logits})[0];
      for (int64_t r = 0; r < 4; ++r) {
        const float* const x = logits.data<float>() + r * classes;
        const int64_t target = targets.data<int64_t>()[r];
        const double largest = *std::max_element(x, x + classes);
        double total = 0;
        for (int64_t c = 0; c < classes; ++c) total += std::exp(x[c] - largest);
        const double size = 1 + std::abs(largest) + std::log(total) + std::abs(x[target]);
        EXPECT_LE(std::abs(losses.data<float>()[r] - (largest + std::log(total) - x[target])), 8 * eps * size);
        for (int64_t c = 0; c < classes; ++c) {
          const double p = std::exp(x[c] - largest) / total, off = 8 * eps * (1 + (largest - x[c]) / 2) * p + eps;
          EXPECT_LE(std::abs(slopes.data<float>()[r * classes + c] - (p - (c == target ? 1 : 0))), off) << c;
        }
      }
    }
  }
}

TEST(CrossEntropy, ImagesAreRowsOfPixels) {
  const Tensor x = normal({2, 3, 2, 2}, 1);
  const Tensor targets = Tensor::from<int64_t>({2, 0, 1, 1, 0, 0, 2, -100}, {2, 2, 2});
  const Tensor rows = x.permute({0, 2, 3, 1}).reshape({8, 3});
  EXPECT_EQ(cross_entropy(x, targets).item(), cross_entropy(rows, targets.reshape({8})).item());
}

TEST(NllLoss, OfLogSoftmaxIsCrossEntropy) {
  const Tensor x = normal({4, 3}, 1), targets = classes({2, 0, -100, 1}), weight = row({0.5, 1, 2});
  const Tensor log_p = sub(x, log(sum(exp(x), {1}, true)));
  EXPECT_NEAR(nll_loss(log_p, targets, {.weight = weight}).item(), cross_entropy(x, targets, {.weight = weight}).item(),
              1e-15);
}

TEST(BinaryCrossEntropy, WithLogitsIsStableWhereTheSigmoidIsNot) {
  Tensor x = row({-800, 800, 800, -800, 40});
  set_requires_grad(x);
  const Tensor loss = binary_cross_entropy_with_logits(x, row({1, 0, 1, 0, 1}), {}, Reduction::none);
  EXPECT_LT(test::largest_difference(loss, row({800, 800, 0, 0, std::exp(-40)})), 1e-30);
  backward(sum(loss));
  EXPECT_LT(test::largest_difference(grad(x), row({-1, 1, 0, 0, -std::exp(-40)})), 1e-16);
}

TEST(BinaryCrossEntropy, OfProbabilitiesEqualsThatOfLogitsAndIsCutOff) {
  const Tensor x = normal({3, 4}, 1), t = sigmoid(normal({3, 4}, 2)), w = normal({4}, 3);
  EXPECT_NEAR(binary_cross_entropy(sigmoid(x), t, w).item(), binary_cross_entropy_with_logits(x, t, w).item(), 1e-14);
  EXPECT_EQ(binary_cross_entropy(row({0, 1, 1}), row({1, 0, 1}), {}, Reduction::sum).item(), 200);
  // A positive example counts with its weight.
  EXPECT_NEAR(binary_cross_entropy_with_logits(row({0.3}), row({1}), {}, Reduction::sum, row({4})).item(),
              4 * std::log1p(std::exp(-0.3)), 1e-15);
}

TEST(RobustLosses, AreQuadraticNearAndLinearFar) {
  const Tensor x = row({0.5, -3}), zero = row({0, 0});
  EXPECT_LT(test::largest_difference(huber_loss(x, zero, Reduction::none, 2), row({0.125, 4})), 1e-15);
  EXPECT_LT(test::largest_difference(smooth_l1_loss(x, zero, Reduction::none, 2), row({0.0625, 2})), 1e-15);
  EXPECT_LT(test::largest_difference(smooth_l1_loss(x, zero, Reduction::none, 0), row({0.5, 3})), 1e-15);
}

TEST(KlDiv, OfAZeroProbabilityIsZero) {
  EXPECT_NEAR(kl_div(row({std::log(0.25), std::log(0.75)}), row({0, 1}), Reduction::sum).item(), -std::log(0.75),
              1e-15);
  const Tensor log_q = row({std::log(0.25), std::log(0.75)}), p = row({0.4, 0.6});
  EXPECT_NEAR(kl_div(log_q, log(p), Reduction::sum, true).item(), kl_div(log_q, p, Reduction::sum).item(), 1e-15);
}

TEST(Losses, GiveTheSameBitsOnAnyNumberOfThreads) {
  Tensor x = normal({50000}, 1, DType::f32), t = normal({50000}, 2, DType::f32),
         logits = normal({3000, 7}, 3, DType::f32);
  Tensor targets = Tensor::zeros({3000}, DType::i64);
  for (int64_t i = 0; i < 3000; ++i) targets.data<int64_t>()[i] = i % 7;
  for (Tensor* leaf : {&x, &t, &logits}) set_requires_grad(*leaf);
  test::expect_same_bits_on_threads([&] {
    for (const Tensor* leaf : {&x, &t, &logits}) zero_grad(*leaf);
    const Tensor a = mse_loss(x, t), b = binary_cross_entropy_with_logits(x, t, {}, Reduction::sum);
    const Tensor c = cross_entropy(logits, targets, {.label_smoothing = 0.1});
    backward(a + b);
    backward(c);
    return std::vector<Tensor>{a, b, c, grad(x).clone(), grad(t).clone(), grad(logits).clone()};
  });
}

template <class E, class Body> std::string message_of(const Body& body) {
  try {
    body();
  } catch (const E& error) { return error.what(); }
  return "nothing of that type was thrown";
}

TEST(Losses, RefuseWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3}, DType::f64), y = Tensor::zeros({2, 3}, DType::f64);
  EXPECT_EQ(message_of<IndexError>([&] {
              cross_entropy(x, classes({0, 3}));
            }),
            "cross_entropy: target 3 of row 1 is outside [0, 3)");
  EXPECT_EQ(message_of<IndexError>([&] {
              nll_loss(x, classes({-1, 0}));
            }),
            "nll_loss: target -1 of row 0 is outside [0, 3)");
  EXPECT_EQ(message_of<ValueError>([&] {
              cross_entropy(x, classes({-100, -100}));
            }),
            "cross_entropy: none of 2 rows has a target that counts");
  EXPECT_EQ(message_of<ValueError>([&] {
              cross_entropy(x, classes({1, 1}), {.weight = row({1, 0, 1})});
            }),
            "cross_entropy: the weights of all 2 targets that count are 0");
  EXPECT_EQ(message_of<ValueError>([&] {
              cross_entropy(x, classes({1, 1}), {.label_smoothing = 1.5});
            }),
            "cross_entropy: label_smoothing 1.5 is outside [0, 1]");
  EXPECT_EQ(cross_entropy(x, classes({-100, -100}), {.reduction = Reduction::sum}).item(), 0);
  EXPECT_THROW(cross_entropy(x, classes({0})), ShapeError);
  EXPECT_THROW(cross_entropy(x, classes({0, 1}), {.weight = row({1, 2})}), ShapeError);
  EXPECT_THROW(cross_entropy(Tensor::zeros({2, 0}, DType::f64), classes({0, 1})), ShapeError);
  EXPECT_THROW(cross_entropy(Tensor::zeros({}, DType::f64), classes({0, 1})), ShapeError);
  EXPECT_THROW(cross_entropy(x, Tensor::zeros({2, 3})), DTypeError);
  EXPECT_THROW(nll_loss(x, y), DTypeError);
  EXPECT_THROW(cross_entropy(x, classes({0, 1}), {.reduction = Reduction::batchmean}), ValueError);
  EXPECT_THROW(mse_loss(x, Tensor::zeros({3}, DType::f64)), ShapeError);
  EXPECT_THROW(mse_loss(x, Tensor::zeros({2, 3})), DTypeError);
  EXPECT_EQ(message_of<ValueError>([] { mse_loss(row({}), row({})); }), "mse_loss: no elements to average");
  EXPECT_EQ(mse_loss(row({}), row({}), Reduction::sum).item(), 0);
  EXPECT_THROW(l1_loss(x, y, Reduction::batchmean), ValueError);
  EXPECT_THROW(kl_div(row({}), row({}), Reduction::batchmean), ValueError);
  EXPECT_THROW(huber_loss(x, y, Reduction::mean, 0), ValueError);
  EXPECT_THROW(smooth_l1_loss(x, y, Reduction::mean, -1), ValueError);
  EXPECT_EQ(
      message_of<ValueError>([&] {
        binary_cross_entropy(row({0.5, 1.5}), row({0, 1}));
      }),
      "binary_cross_entropy: element 1 of x is 1.5, outside [0, 1]; for logits use binary_cross_entropy_with_logits");
  EXPECT_THROW(binary_cross_entropy(row({std::nan("")}), row({0})), ValueError);
  EXPECT_THROW(binary_cross_entropy_with_logits(x, y, row({1, 2})), ShapeError);
  EXPECT_THROW(gaussian_nll_loss(x, y, Tensor::full({2, 1}, -1, DType::f64)), ValueError);
  EXPECT_THROW(cosine_embedding_loss(x, y, row({1, 1, 1})), ShapeError);
  EXPECT_THROW(triplet_margin_loss(x, y, row({1})), ShapeError);
}

}  // namespace
}  // namespace qing
