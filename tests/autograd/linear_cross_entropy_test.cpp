#include <qing/autograd/ops/linear_cross_entropy.h>

#include <gtest/gtest.h>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

Tensor leaf(Shape shape, Generator& rng) {
  Tensor x = Tensor::empty(std::move(shape));
  rng.fill_normal(x, 0, 1);
  set_requires_grad(x, true);
  return x;
}

Tensor classes(int64_t rows, int64_t count, Generator& rng) {
  Tensor ids = Tensor::empty({rows}, DType::i64);
  rng.fill_integers(ids, 0, count);
  return ids;
}

// More than one chunk of logits.
constexpr int64_t kRows = 300, kWidth = 8, kClasses = 1 << 16;

struct Results {
  Tensor loss, x, weight, bias;
};

Results run(bool fused, DType products = DType::f32) {
  const AutocastGuard guard(products);
  Generator rng(1);
  const Tensor x = leaf({kRows, kWidth}, rng), weight = leaf({kClasses, kWidth}, rng), bias = leaf({kClasses}, rng);
  const Tensor targets = classes(kRows, kClasses, rng);
  const Tensor loss = fused ? linear_cross_entropy(x, weight, bias, targets, {.label_smoothing = 0.1})
                            : cross_entropy(linear(x, weight, bias), targets, {.label_smoothing = 0.1});
  backward(loss * 3);
  return {loss.alias(), grad(x), grad(weight), grad(bias)};
}

TEST(LinearCrossEntropy, IsTheCrossEntropyOfTheLinearLayer) {
  for (const DType products : {DType::f32, DType::bf16}) {
    const Results fused = run(true, products), apart = run(false, products);
    EXPECT_NEAR(fused.loss.item(), apart.loss.item(), 1e-5 * apart.loss.item());
    // Under autocast gradients of logits are rounded to bf16 before they are multiplied by 3 instead of behind that.
    const double tolerance = products == DType::f32 ? 1e-5 : 1e-2;
    const auto worst = [](const Tensor& a, const Tensor& b) { return max(abs(a - b)).item() / max(abs(b)).item(); };
    EXPECT_LT(worst(fused.x, apart.x), tolerance);
    EXPECT_LT(worst(fused.weight, apart.weight), tolerance);
    EXPECT_LT(worst(fused.bias, apart.bias), tolerance);
  }
}

TEST(LinearCrossEntropy, DoesNotDependOnThreads) {
  const int before = num_threads();
  set_num_threads(1);
  const Results one = run(true);
  set_num_threads(3);
  const Results three = run(true);
  set_num_threads(before);
  EXPECT_TRUE(identical(one.loss, three.loss));
  EXPECT_TRUE(identical(one.x, three.x));
  EXPECT_TRUE(identical(one.weight, three.weight));
  EXPECT_TRUE(identical(one.bias, three.bias));
}

TEST(LinearCrossEntropy, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3}), weight = Tensor::zeros({4, 3}), ids = Tensor::zeros({2}, DType::i32);
  EXPECT_THROW(linear_cross_entropy(x, Tensor::zeros({4, 2}), {}, ids), ShapeError);
  EXPECT_THROW(linear_cross_entropy(x, weight, Tensor::zeros({3}), ids), ShapeError);
  EXPECT_THROW(linear_cross_entropy(x, weight, {}, Tensor::zeros({3}, DType::i32)), ShapeError);
  EXPECT_THROW(linear_cross_entropy(x, weight, {}, Tensor::full({2}, 4, DType::i32)), IndexError);
  EXPECT_THROW(linear_cross_entropy(x, weight, {}, ids, {.label_smoothing = 1.5}), ValueError);
  EXPECT_THROW(linear_cross_entropy(x, weight, {}, ids, {.reduction = Reduction::none}), ValueError);
  EXPECT_THROW(linear_cross_entropy(x.to(DType::f64), weight, {}, ids), DTypeError);
  EXPECT_THROW(linear_cross_entropy(Tensor::zeros({0, 3}), weight, {}, Tensor::zeros({0}, DType::i32)), ValueError);
  EXPECT_EQ(linear_cross_entropy(Tensor::zeros({0, 3}), weight, {}, Tensor::zeros({0}, DType::i32),
                                 {.reduction = Reduction::sum})
                .item(),
            0);
}

}  // namespace
}  // namespace qing
