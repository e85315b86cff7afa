#include <qing/nn/init.h>

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include <qing/nn/layers/layers.h>

namespace qing::nn {
namespace {

struct Moments {
  double mean, stddev, low, high;
};

Moments moments_of(const Tensor& tensor) {
  const Tensor values = tensor.to(DType::f64);
  double sum = 0, squares = 0, low = 1e300, high = -1e300;
  for (const double x : values.span<double>()) {
    sum += x, squares += x * x;
    low = std::min(low, x), high = std::max(high, x);
  }
  const auto n = static_cast<double>(values.numel());
  return {sum / n, std::sqrt(squares / n - sum / n * sum / n), low, high};
}

class Init : public ::testing::Test {
 protected:
  Generator rng_{11};
  Tensor weight_ = Tensor::empty({200, 50, 4});  // fans: in 200, out 800
};

TEST_F(Init, FansCountTheKernel) {
  EXPECT_EQ(init::calculate_fans(weight_).in, 200);
  EXPECT_EQ(init::calculate_fans(weight_).out, 800);
  EXPECT_THROW(init::calculate_fans(Tensor::zeros({3})), ShapeError);
}

TEST_F(Init, GainsAreThoseOfTorch) {
  using enum init::Nonlinearity;
  EXPECT_EQ(init::calculate_gain(linear), 1);
  EXPECT_EQ(init::calculate_gain(sigmoid), 1);
  EXPECT_DOUBLE_EQ(init::calculate_gain(tanh), 5.0 / 3);
  EXPECT_DOUBLE_EQ(init::calculate_gain(relu), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(init::calculate_gain(leaky_relu, 0.2), std::sqrt(2 / 1.04));
  EXPECT_EQ(init::calculate_gain(selu), 0.75);
}

TEST_F(Init, UniformFamiliesHaveTheirBounds) {
  const auto expect_bound = [&](double bound) {
    const Moments m = moments_of(weight_);
    EXPECT_LE(std::max(-m.low, m.high), bound * (1 + 1e-6));
    EXPECT_GE(std::min(-m.low, m.high), bound * 0.999);
    EXPECT_NEAR(m.mean, 0, 0.02 * bound);
    EXPECT_NEAR(m.stddev, bound / std::sqrt(3.0), 0.01 * bound);
  };
  init::xavier_uniform(weight_, rng_, 2);
  expect_bound(2 * std::sqrt(6.0 / 1000));
  init::kaiming_uniform(weight_, rng_);
  expect_bound(std::sqrt(6.0 / 200));
  init::kaiming_uniform(weight_, rng_, std::sqrt(5.0));
  expect_bound(1 / std::sqrt(200.0));
  init::kaiming_uniform(weight_, rng_, 0, init::FanMode::fan_out, init::Nonlinearity::linear);
  expect_bound(std::sqrt(3.0 / 800));
}

TEST_F(Init, NormalFamiliesHaveTheirDeviations) {
  init::xavier_normal(weight_, rng_);
  EXPECT_NEAR(moments_of(weight_).stddev, std::sqrt(2.0 / 1000), 0.001);
  init::kaiming_normal(weight_, rng_, 0, init::FanMode::fan_out, init::Nonlinearity::relu);
  EXPECT_NEAR(moments_of(weight_).stddev, std::sqrt(2.0 / 800), 0.001);
  init::normal(weight_, rng_, 3, 2);
  EXPECT_NEAR(moments_of(weight_).mean, 3, 0.05);
  EXPECT_NEAR(moments_of(weight_).stddev, 2, 0.05);
}

TEST_F(Init, TruncatedNormalStaysInside) {
  init::trunc_normal(weight_, rng_, 1, 2, -1, 3);
  const Moments m = moments_of(weight_);
  EXPECT_GE(m.low, -1);
  EXPECT_LE(m.high, 3);
  EXPECT_NEAR(m.mean, 1, 0.02);
  // The deviation of a standard normal distribution truncated to ±1: sqrt(1 − 2φ(1)/(2Φ(1) − 1)).
  EXPECT_NEAR(m.stddev, 2 * 0.53956, 0.01);
  init::trunc_normal(weight_, rng_, 0, 1, -100, 100);  // practically not truncated
  EXPECT_NEAR(moments_of(weight_).stddev, 1, 0.02);
  EXPECT_THROW(init::trunc_normal(weight_, rng_, 0, 1, 2, 2), ValueError);
  EXPECT_THROW(init::trunc_normal(weight_, rng_, 0, 1, 90, 91), ValueError);
}

TEST_F(Init, OrthogonalRowsOrColumns) {
  for (const Shape& shape : {Shape{7, 5}, Shape{5, 7}, Shape{6, 6}, Shape{4, 3, 2}, Shape{1, 3}}) {
    Tensor weight = Tensor::empty(shape, DType::f64);
    init::orthogonal(weight, rng_, 3);
    using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<const Matrix> m(weight.data<double>(), weight.size(0), weight.numel() / weight.size(0));
    const Matrix gram = m.rows() >= m.cols() ? Matrix(m.transpose() * m) : Matrix(m * m.transpose());
    EXPECT_LT((gram - 9 * Matrix::Identity(gram.rows(), gram.cols())).norm(), 1e-12) << to_string(shape);
  }
  Tensor vector = Tensor::zeros({3});
  EXPECT_THROW(init::orthogonal(vector, rng_), ShapeError);
}

TEST_F(Init, OrthogonalMatricesHaveNoPreferredSign) {
  int positive = 0;
  for (int i = 0; i < 200; ++i) {
    Tensor weight = Tensor::empty({3, 3}, DType::f64);
    init::orthogonal(weight, rng_);
    positive += weight.data<double>()[0] > 0;
  }
  EXPECT_GT(positive, 70);
  EXPECT_LT(positive, 130);
}

TEST_F(Init, SparseColumnsHaveTheirShareOfZeros) {
  Tensor weight = Tensor::empty({10, 4});
  init::sparse(weight, rng_, 0.25);
  for (int64_t j = 0; j < 4; ++j) {
    int zeros = 0;
    for (int64_t i = 0; i < 10; ++i) zeros += weight.data<float>()[i * 4 + j] == 0;
    EXPECT_EQ(zeros, 3);
  }
}

TEST_F(Init, EyeAndConstants) {
  Tensor weight = Tensor::empty({2, 3});
  init::eye(weight);
  EXPECT_EQ(to_string(weight), to_string(Tensor::from<float>({1, 0, 0, 0, 1, 0}, {2, 3})));
  init::constant(weight, 4);
  EXPECT_EQ(weight.span<float>()[5], 4);
  EXPECT_THROW(init::eye(weight_), ShapeError);
}

TEST_F(Init, LinearHasTorchsDefaultAndBertsOnRequest) {
  Generator rng(3);
  const Linear plain(64, 500, rng);
  EXPECT_NEAR(moments_of(plain.weight()).high, 0.125, 1e-3);
  EXPECT_NEAR(moments_of(plain.bias()).low, -0.125, 1e-3);
  const Linear bert(64, 500, rng, {.stddev = 0.02});
  EXPECT_NEAR(moments_of(bert.weight()).stddev, 0.02, 1e-3);
  EXPECT_EQ(moments_of(bert.bias()).high, 0);
}

TEST_F(Init, SkippedInitialisersLeaveTensorsAndDrawNoNumbers) {
  weight_.fill(5);
  const uint64_t stream = rng_.stream();
  {
    const init::SkippedInit skipped;
    init::normal(weight_, rng_);
    init::uniform(weight_, rng_);
    init::trunc_normal(weight_, rng_);
    init::orthogonal(weight_, rng_);
    Tensor matrix = weight_.reshape({200, 200});
    init::sparse(matrix, rng_, 0.5);
    const init::SkippedInit inner;
  }
  EXPECT_EQ(rng_.stream(), stream);
  EXPECT_EQ(moments_of(weight_).low, 5);
  EXPECT_EQ(moments_of(weight_).high, 5);
  init::normal(weight_, rng_);  // the guards have gone
  EXPECT_NE(moments_of(weight_).low, 5);
}

}  // namespace
}  // namespace qing::nn
