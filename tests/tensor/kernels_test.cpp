// Every ISA of this machine compared with plain double arithmetic.
#include <qing/tensor/kernels/kernels.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/random.h>

namespace qing::kernels {
namespace {

template <class T> std::vector<T> uniform(int64_t n, uint64_t seed, double low, double high) {
  Generator rng(seed);
  Tensor t = Tensor::empty({n}, dtype_of<T>);
  rng.fill_uniform(t, low, high);
  const auto values = t.template span<T>();
  return {values.begin(), values.end()};
}

class EveryIsa : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!supported(GetParam())) GTEST_SKIP() << "this CPU has no " << name_of(GetParam());
  }
  const Table<float>& f32() const { return table<float>(GetParam()); }
  const Table<double>& f64() const { return table<double>(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Kernels, EveryIsa, ::testing::Values(Isa::scalar, Isa::avx2, Isa::avx512),
                         [](const auto& info) { return std::string(name_of(info.param)); });

template <class T> void forward(const Table<T>& table, Unary op, int64_t n, const T* x, T* y) {
  const T none[kUnaryParameters] = {};
  table.unary[static_cast<size_t>(op)].forward(n, x, y, none);
}

template <class T>
void expect_relative(const Table<T>& table, Unary op, double (*exact)(double), double low, double high,
                     double tolerance) {
  const auto x = uniform<T>(20001, 1, low, high);
  std::vector<T> y(x.size());
  forward(table, op, static_cast<int64_t>(x.size()), x.data(), y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = exact(static_cast<double>(x[i]));
    ASSERT_NEAR(y[i], want, tolerance * std::abs(want)) << "at " << x[i];
  }
}

double exact_exp(double x) { return std::exp(x); }
double exact_tanh(double x) { return std::tanh(x); }
double exact_gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

TEST_P(EveryIsa, ExpIsAccurateToAboutAnUlp) {
  expect_relative<float>(f32(), Unary::exp, exact_exp, -87, 88, 2e-7);
  expect_relative<float>(f32(), Unary::exp, exact_exp, -1e-3, 1e-3, 2e-7);
  expect_relative<double>(f64(), Unary::exp, exact_exp, -708, 709, 5e-16);
}

TEST_P(EveryIsa, ExpHasItsLimits) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0, -0.0F, 89, inf, -inf, -88, std::numeric_limits<float>::quiet_NaN(), 88.72F};
  std::vector<float> y(x.size());
  forward(f32(), Unary::exp, static_cast<int64_t>(x.size()), x.data(), y.data());
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], 1);
  EXPECT_EQ(y[2], inf);
  EXPECT_EQ(y[3], inf);
  EXPECT_EQ(y[4], 0);
  EXPECT_EQ(y[5], 0);
  EXPECT_TRUE(std::isnan(y[6]));
  EXPECT_NEAR(y[7] / std::exp(88.72), 1, 1e-5);
}

TEST_P(EveryIsa, TanhIsAccurateAlsoNearZero) {
  expect_relative<float>(f32(), Unary::tanh, exact_tanh, -20, 20, 4e-7);
  expect_relative<float>(f32(), Unary::tanh, exact_tanh, -1e-3, 1e-3, 4e-7);
  expect_relative<double>(f64(), Unary::tanh, exact_tanh, -20, 20, 1e-15);
  const float x[] = {-100, 100, std::numeric_limits<float>::quiet_NaN(), 0};
  float y[4];
  forward(f32(), Unary::tanh, 4, x, y);
  EXPECT_EQ(y[0], -1);
  EXPECT_EQ(y[1], 1);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], 0);
}

TEST_P(EveryIsa, GeluIsAccurateInBothTails) {
  expect_relative<float>(f32(), Unary::gelu, exact_gelu, -5, 5, 3e-6);
  // erfc(z) multiplies the rounding of its argument by 2z², here 64.
  expect_relative<double>(f64(), Unary::gelu, exact_gelu, -8, 8, 64 * 4.5e-16);
  const auto x = uniform<float>(10001, 2, -12, 12);
  std::vector<float> y(x.size());
  forward(f32(), Unary::gelu, static_cast<int64_t>(x.size()), x.data(), y.data());
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], exact_gelu(x[i]), 3e-7 * (1 + std::abs(x[i])));
}

TEST_P(EveryIsa, GeluBackwardIsTheDerivativeAndAdds) {
  const auto x = uniform<float>(1001, 3, -6, 6), dy = uniform<float>(1001, 4, -1, 1);
  std::vector<float> dx(x.size(), 2);
  const float none[kUnaryParameters] = {};
  f32().unary[static_cast<size_t>(Unary::gelu)].backward(static_cast<int64_t>(x.size()), x.data(), x.data(), dy.data(),
                                                         dx.data(), true, none);
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = x[i];
    const double slope = 0.5 * std::erfc(-v / std::sqrt(2.0)) + v * std::exp(-v * v / 2) / std::sqrt(2 * M_PI);
    ASSERT_NEAR(dx[i], 2 + dy[i] * slope, 1e-6);
  }
}

// A lane at the end of a row gets the bits that it would get in the middle of a longer one.
TEST_P(EveryIsa, ElementsDoNotDependOnTheirPosition) {
  const auto x = uniform<float>(200, 5, -6, 6);
  for (const Unary op : {Unary::exp, Unary::tanh, Unary::gelu}) {
    std::vector<float> whole(200);
    forward(f32(), op, 200, x.data(), whole.data());
    for (int64_t n = 0; n < 70; ++n) {
      std::vector<float> part(static_cast<size_t>(n) + 1, 7);
      forward(f32(), op, n, x.data() + 3, part.data());
      ASSERT_EQ(std::memcmp(part.data(), whole.data() + 3, static_cast<size_t>(n) * sizeof(float)), 0) << n;
      ASSERT_EQ(part.back(), 7) << "written beyond the row";
    }
  }
}

TEST_P(EveryIsa, ReductionsOfAllLengths) {
  const auto a = uniform<float>(70, 6, -1, 1), b = uniform<float>(70, 7, -1, 1);
  for (int64_t n = 0; n <= 70; ++n) {
    double dot = 0, sum = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) {
      dot += static_cast<double>(a[i]) * b[i];
      sum += a[i];
      squares += static_cast<double>(a[i]) * a[i];
    }
    EXPECT_NEAR(f32().dot(n, a.data(), b.data()), dot, 1e-5);
    EXPECT_NEAR(f32().sum(n, a.data()), sum, 1e-5);
    EXPECT_NEAR(f32().sum_squares(n, a.data()), squares, 1e-5);
  }
}

// Any number of columns next to others that must not change: the exact sums of f32, independent of the neighbours.
TEST_P(EveryIsa, AddsColumnsInDouble) {
  const int64_t rows = 9, stride = 150;
  const auto x = uniform<float>(rows * stride, 15, -1, 1);
  for (int64_t columns = 0; columns < 140; ++columns) {
    std::vector<double> sums(static_cast<size_t>(columns) + 1, 0.5);
    f32().add_columns(rows, columns, x.data(), stride, sums.data());
    for (int64_t j = 0; j < columns; ++j) {
      double want = 0.5;
      for (int64_t r = 0; r < rows; ++r) want += x[r * stride + j];
      ASSERT_EQ(sums[j], want) << columns;
    }
    ASSERT_EQ(sums.back(), 0.5) << "written beyond the columns";
  }
}

// A sum of a long row is as accurate as one of a short row.
TEST_P(EveryIsa, LongSumsStayAccurate) {
  const int64_t n = 1 << 22;
  const std::vector<float> x(n, 0.1F);
  EXPECT_NEAR(f32().sum(n, x.data()) / (n * 0.1), 1, 1e-4);
  EXPECT_NEAR(f32().sum_squares(n, x.data()) / (n * 0.01), 1, 1e-4);
}

TEST_P(EveryIsa, SoftmaxSumsToOneAndGivesTheLogSum) {
  for (int64_t n = 1; n <= 70; ++n) {
    const auto x = uniform<double>(n, 8, -30, 30);
    std::vector<double> y(x.size());
    const double log_sum = f64().softmax(n, 0.5, x.data(), y.data());
    double total = 0;
    for (const double v : x) total += std::exp(0.5 * v);
    EXPECT_NEAR(log_sum, std::log(total), 1e-12);
    for (int64_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], std::exp(0.5 * x[i]) / total, 1e-14);
  }
  const float huge[] = {1e30F, -1e30F, 1e30F};
  float y[3];
  f32().softmax(3, 1, huge, y);
  EXPECT_EQ(y[0], 0.5F);
  EXPECT_EQ(y[1], 0);
}

TEST_P(EveryIsa, LayerNormEqualsItsFormula) {
  for (const int64_t n : {1, 3, 8, 17, 128, 131}) {
    const auto x = uniform<double>(n, 9, 5, 9), gamma = uniform<double>(n, 10, 0, 2),
               beta = uniform<double>(n, 11, -1, 1);
    std::vector<double> y(x.size());
    RowStatistics<double> row{};
    double want_mean = 0, variance = 0;
    f64().layer_norm(n, x.data(), gamma.data(), beta.data(), 1e-5, y.data(), &row);
    for (const double v : x) want_mean += v / static_cast<double>(n);
    for (const double v : x) variance += (v - want_mean) * (v - want_mean) / static_cast<double>(n);
    EXPECT_NEAR(row.mean, want_mean, 1e-12);
    EXPECT_NEAR(row.rstd, 1 / std::sqrt(variance + 1e-5), 1e-9 * row.rstd);
    for (int64_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], (x[i] - row.mean) * row.rstd * gamma[i] + beta[i], 1e-11);
  }
}

TEST_P(EveryIsa, RmsNormAndItsGradientEqualTheirFormulas) {
  for (int64_t n = 1; n <= 40; ++n) {
    const auto x = uniform<double>(n, 9, -2, 2), gamma = uniform<double>(n, 10, -1, 1);
    const auto dy = uniform<double>(n, 11, -1, 1);
    std::vector<double> y(x.size()), dx(x.size(), 3), dgamma(x.size(), 4);
    double rstd = 0, squares = 0, along = 0;
    f64().rms_norm(n, x.data(), gamma.data(), 1e-5, y.data(), &rstd);
    f64().rms_norm_backward(n, x.data(), gamma.data(), dy.data(), rstd, dx.data(), dgamma.data());
    f64().rms_norm_backward(n, x.data(), gamma.data(), dy.data(), rstd, nullptr, nullptr);
    for (const double v : x) squares += v * v;
    const double want = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    EXPECT_NEAR(rstd, want, 1e-14 * want);
    for (int64_t i = 0; i < n; ++i) along += dy[i] * gamma[i] * x[i] * want / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_NEAR(y[i], x[i] * want * gamma[i], 1e-14);
      EXPECT_NEAR(dx[i], 3 + want * (dy[i] * gamma[i] - x[i] * want * along), 1e-13 * (1 + want));
      EXPECT_NEAR(dgamma[i], 4 + dy[i] * x[i] * want, 1e-14 * (1 + want));
    }
  }
}

TEST_P(EveryIsa, AxpyAddScaleAndAdamW) {
  const int64_t n = 37;
  const auto x = uniform<float>(n, 12, -1, 1), g = uniform<float>(n, 13, -1, 1);
  auto y = uniform<float>(n, 14, -1, 1);
  const auto before = y;
  f32().axpy(n, 0.5F, x.data(), y.data());
  for (int64_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], before[i] + 0.5 * x[i], 1e-6);
  f32().scale(n, 3, y.data());
  f32().add(n, y.data(), x.data(), y.data());
  for (int64_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], 3 * (before[i] + 0.5 * x[i]) + x[i], 2e-6);

  std::vector<float> w = before, m(n, 0.1F), v(n, 0.2F);
  const double lr = 0.01, b1 = 0.9, b2 = 0.99, eps = 0.05, decay = 0.1, c1 = 1 - b1 * b1, c2 = 1 - b2 * b2;
  const AdamStep<float> step{.size = static_cast<float>(lr / c1),
                             .sign = 1,
                             .l2 = 0,
                             .keep = static_cast<float>(1 - lr * decay),
                             .beta1 = static_cast<float>(b1),
                             .one_minus_beta1 = static_cast<float>(1 - b1),
                             .beta2 = static_cast<float>(b2),
                             .one_minus_beta2 = static_cast<float>(1 - b2),
                             .inverse_root_c2 = static_cast<float>(1 / std::sqrt(c2)),
                             .eps = static_cast<float>(eps)};
  float* const states[] = {m.data(), v.data(), nullptr};
  sweep(f32(), n, w.data(), g.data(), states, step);
  for (int64_t i = 0; i < n; ++i) {
    const double first = b1 * 0.1 + (1 - b1) * g[i], second = b2 * 0.2 + (1 - b2) * g[i] * g[i];
    EXPECT_NEAR(m[i], first, 1e-6);
    EXPECT_NEAR(v[i], second, 1e-6);
    EXPECT_NEAR(w[i], before[i] * (1 - lr * decay) - lr / c1 * first / (std::sqrt(second / c2) + eps), 1e-6);
  }
}

TEST(Dispatch, TheActiveIsaIsSupported) {
  EXPECT_TRUE(supported(active_isa()));
  EXPECT_EQ(&kernels<float>(), &table<float>(active_isa()));
  EXPECT_TRUE(supported(Isa::scalar));
}

}  // namespace
}  // namespace qing::kernels
