#include <qing/autograd/ops/linalg.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

Tensor drawn(const Shape& shape, DType dtype = DType::f64) {
  Generator rng(4);
  return randn(shape, rng, dtype);
}

// A leaf that requires a gradient.
Tensor leaf_of(Tensor x) { return set_requires_grad(x); }

TEST(Linalg, FactorsMultiplyToTheMatrix) {
  for (const Shape& shape : {Shape{5, 3}, Shape{3, 5}, Shape{2, 4, 4}, Shape{40, 20}}) {
    const Tensor a = drawn(shape);
    const auto [q, r] = linalg::qr(a);
    EXPECT_TRUE(allclose(matmul(q, r), a, 0, 1e-12));
    const auto [u, s, vh] = linalg::svd(a);
    EXPECT_TRUE(allclose(matmul(mul(u, unsqueeze(s, -2)), vh), a, 0, 1e-12));
    EXPECT_TRUE(allclose(matmul(vh, transpose(vh, -2, -1)), matmul(transpose(q, -2, -1), q), 0, 1e-12)) << "identities";
  }
  const Tensor x = drawn({2, 6, 6}), a = matmul(x, transpose(x, -2, -1));
  const auto [w, v] = linalg::eigh(a);
  EXPECT_TRUE(allclose(matmul(mul(v, unsqueeze(w, -2)), transpose(v, -2, -1)), a, 0, 1e-12));
  const Tensor l = linalg::cholesky(a);
  EXPECT_TRUE(allclose(matmul(l, transpose(l, -2, -1)), a, 0, 1e-12));
}

TEST(Linalg, EmptyAndSingularMatrices) {
  EXPECT_EQ(linalg::det(Tensor::zeros({0, 0})).item(), 1);
  EXPECT_EQ(linalg::inv(Tensor::zeros({3, 0, 0})).shape(), (Shape{3, 0, 0}));
  const Tensor singular = Tensor::of({{1, 2}, {2, 4}});
  EXPECT_EQ(linalg::det(singular).item(), 0);
  EXPECT_EQ(linalg::slogdet(singular).logabsdet.item(), -std::numeric_limits<double>::infinity());
  EXPECT_THROW(linalg::inv(singular), ValueError);
  EXPECT_THROW(linalg::solve(singular, Tensor::of({1, 1})), ValueError);
  const Tensor leaf = leaf_of(singular.clone());
  EXPECT_THROW(backward(linalg::det(leaf)), ValueError);
}

TEST(Linalg, ErrorsNameTheOperation) {
  const double nan = std::nan("");
  EXPECT_THROW(linalg::inv(drawn({2, 3})), ShapeError);
  EXPECT_THROW(linalg::inv(drawn({3})), ShapeError);
  EXPECT_THROW(linalg::det(Tensor::zeros({2, 2}, DType::i64)), DTypeError);
  EXPECT_THROW(linalg::solve(drawn({3, 3}), drawn({2})), ShapeError);
  EXPECT_THROW(linalg::solve(drawn({3, 3}), drawn({3}, DType::f32)), DTypeError);
  EXPECT_THROW(linalg::solve_triangular(drawn({2, 3, 3}), drawn({3, 1}), true), ShapeError);
  EXPECT_THROW(linalg::cholesky(Tensor::of({{1, 2}, {2, 1}})), ValueError);
  EXPECT_THROW(linalg::eigh(Tensor::full({2, 2}, nan)), ValueError);
  EXPECT_THROW(linalg::svd(Tensor::full({2, 3}, nan)), ValueError);
  const Tensor wide = leaf_of(drawn({2, 3}));
  EXPECT_THROW(backward(sum(linalg::qr(wide).r)), ValueError);
  try {
    linalg::inv(stack({eye(2), zeros({2, 2})}));
    FAIL();
  } catch (const ValueError& error) { EXPECT_STREQ(error.what(), "inv: matrix 1 of the batch is singular"); }
}

TEST(Linalg, BitsDoNotDependOnThreads) {
  const Tensor a = drawn({16, 30, 30});
  const int before = num_threads();
  set_num_threads(1);
  const Tensor alone = linalg::inv(a);
  const Tensor transform = fft::rfft(a);
  set_num_threads(4);
  EXPECT_TRUE(identical(linalg::inv(a), alone));
  EXPECT_TRUE(identical(fft::rfft(a), transform));
  set_num_threads(before);
}

TEST(Fft, TransformsBackToTheNumbers) {
  for (const int64_t n : {1, 2, 7, 8, 30, 97}) {
    const Tensor x = drawn({3, n});
    EXPECT_TRUE(allclose(fft::irfft(fft::rfft(x), n), x, 0, 1e-13)) << n;
    const Tensor z = drawn({n, 2, 2});
    EXPECT_TRUE(allclose(fft::ifft(fft::fft(z, {}, 0), {}, 0), z, 0, 1e-13)) << n;
  }
}

TEST(Fft, ErrorsNameTheOperation) {
  EXPECT_THROW(fft::fft(drawn({4, 3})), ShapeError);
  EXPECT_THROW(fft::fft(drawn({2})), ShapeError);
  EXPECT_THROW(fft::rfft(drawn({4}), 0), ValueError);
  EXPECT_THROW(fft::rfft(drawn({4, 4}), {}, 2), IndexError);
  EXPECT_THROW(fft::irfft(drawn({1, 2})), ValueError) << "no number comes back from one";
  EXPECT_THROW(fft::rfft(Tensor::zeros({4}, DType::i64)), DTypeError);
}

TEST(CtcLoss, TheProbabilitiesOfAllTargetsSumToOne) {
  // Three steps over {blank, a}: the targets of 0 to 2 labels are all that can be heard.
  const Tensor x = log_softmax(drawn({3, 1, 2}));
  double sum = 0;
  for (int64_t length = 0; length <= 2; ++length) {
    const Tensor target = Tensor::full({1, length}, 1, DType::i64);
    sum += std::exp(-ctc_loss(x, target, {3}, {length}, {.reduction = Reduction::sum}).item());
  }
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(CtcLoss, ImpossibleTargetsAndBadArguments) {
  const Tensor x = leaf_of(log_softmax(drawn({2, 1, 3})).clone());
  const Tensor same = Tensor::of({{1, 1}}, DType::i64);  // needs a blank between
  EXPECT_EQ(ctc_loss(x, same, {2}, {2}).item(), std::numeric_limits<double>::infinity());
  const Tensor loss = ctc_loss(x, same, {2}, {2}, {.zero_infinity = true});
  backward(loss);
  EXPECT_EQ(loss.item(), 0);
  EXPECT_EQ(sum(abs(grad(x))).item(), 0);
  EXPECT_THROW(ctc_loss(x, Tensor::of({{0, 1}}, DType::i64), {2}, {2}), IndexError) << "the blank";
  EXPECT_THROW(ctc_loss(x, Tensor::of({{3}}, DType::i64), {2}, {1}), IndexError);
  EXPECT_THROW(ctc_loss(x, same, {3}, {2}), ValueError) << "longer than the input";
  EXPECT_THROW(ctc_loss(x, same, {2}, {3}), ValueError);
  EXPECT_THROW(ctc_loss(x, same, {2, 2}, {2}), ValueError);
  EXPECT_THROW(ctc_loss(x, same, {2}, {2}, {.blank = 3}), ValueError);
  EXPECT_THROW(ctc_loss(x, same, {2}, {2}, {.reduction = Reduction::batchmean}), ValueError);
  EXPECT_THROW(ctc_loss(x, same.to(DType::f32), {2}, {2}), DTypeError);
  EXPECT_THROW(ctc_loss(x[0], same, {2}, {2}), ShapeError);
  EXPECT_THROW(ctc_loss(x, Tensor::of({1, 1, 1}, DType::i64), {2}, {2}), ShapeError);
}

TEST(Volumes, ErrorsNameTheOperation) {
  const Tensor x = drawn({2, 4, 3, 3, 3});
  EXPECT_THROW(conv3d(x, drawn({2, 3, 1, 1, 1})), ShapeError) << "channels";
  EXPECT_THROW(conv3d(x, drawn({2, 4, 4, 1, 1})), ShapeError) << "deeper than x";
  EXPECT_THROW(conv3d(x, drawn({2, 4, 1, 1})), ShapeError);
  EXPECT_THROW(conv3d(drawn({3, 3, 3}), drawn({2, 4, 1, 1, 1})), ShapeError);
  EXPECT_THROW(conv3d(x, drawn({2, 4, 1, 1, 1}), {}, {.stride = {0, 1, 1}}), ValueError);
  EXPECT_THROW(conv_transpose3d(x, drawn({4, 2, 1, 1, 1}), {}, {.output_padding = {1, 0, 0}}), ValueError);
  EXPECT_THROW(max_pool3d(x, 4), ShapeError);
  EXPECT_THROW(avg_pool3d(x, 2, {.padding = {2, 0, 0}}), ValueError);
  EXPECT_THROW(cdist(drawn({3}), drawn({3, 3})), ShapeError);
  EXPECT_THROW(quantile(x, 1.5, 0), ValueError);
  EXPECT_THROW(quantile(Tensor::zeros({0}), 0.5, 0), ValueError);
  EXPECT_THROW(meshgrid({drawn({2, 2})}), ShapeError);
}

TEST(Quantile, NaNSpreadsOverItsLane) {
  const Tensor y = quantile(Tensor::of({{1, std::nan(""), 3}, {1, 2, 3}}), 0.1, 1);
  EXPECT_TRUE(std::isnan(y.at({0})));
  EXPECT_NEAR(y.at({1}), 1.2, 1e-6);
}

}  // namespace
}  // namespace qing
