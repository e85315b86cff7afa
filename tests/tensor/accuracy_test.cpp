// The error of every vectorised function compared with wider arithmetic, over dense samples of its whole range, in
// units in the last place of the exact result. The error of kernels that reduce a row is relative to the largest of
// their terms.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/random.h>

namespace qing::kernels {
namespace {

// f64 is measured in the 64 bits of x87, f32 in double, which is wide enough and four times as fast.
template <class T> using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <class W> W normal_cumulative(W x) { return std::erfc(-x / std::sqrt(W(2))) / 2; }
template <class W> W normal_density(W x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(W(-1))); }
template <class W> W logistic(W x) { return 1 / (1 + std::exp(-x)); }
template <class W> W log_of_one_plus_exp(W x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
template <class W> W gelu_tanh_argument(W x) { return x * W(1.595769121605730711759643L) * (1 + W(0.044715L) * x * x); }

template <class W> W exact(Unary op, W x) {
  switch (op) {
    case Unary::sqrt: return std::sqrt(x);
    case Unary::rsqrt: return 1 / std::sqrt(x);
    case Unary::square: return x * x;
    case Unary::reciprocal: return 1 / x;
    case Unary::exp: return std::exp(x);
    case Unary::expm1: return std::expm1(x);
    case Unary::log: return std::log(x);
    case Unary::tanh: return std::tanh(x);
    case Unary::sigmoid: return logistic(x);
    case Unary::log_sigmoid: return -log_of_one_plus_exp(-x);
    case Unary::silu: return x * logistic(x);
    case Unary::mish: return x * std::tanh(log_of_one_plus_exp(x));
    case Unary::softsign: return x / (1 + std::abs(x));
    case Unary::tanhshrink: return x - std::tanh(x);
    case Unary::gelu: return x * normal_cumulative(x);
    case Unary::ndtr: return normal_cumulative(x);
    case Unary::gelu_tanh: return x * logistic(gelu_tanh_argument(x));
    case Unary::softplus: return log_of_one_plus_exp(x);
    case Unary::elu: return x > 0 ? x : std::expm1(x);
    case Unary::hardsigmoid: return std::clamp<W>(x + 3, 0, 6) / 6;
    case Unary::hardswish: return x * std::clamp<W>(x + 3, 0, 6) / 6;
    default: return std::numeric_limits<W>::quiet_NaN();
  }
}
template <class W> W exact_slope(Unary op, W x) {
  const W s = logistic(x), t = std::tanh(log_of_one_plus_exp(x)), u = gelu_tanh_argument(x);
  switch (op) {
    case Unary::tanh: return 1 / (std::cosh(x) * std::cosh(x));
    case Unary::sigmoid: return s * logistic(-x);
    case Unary::silu: return s * (1 + x * logistic(-x));
    case Unary::mish: return t + x * s * (1 - t * t);
    case Unary::gelu: return normal_cumulative(x) + x * normal_density(x);
    case Unary::gelu_tanh:
      return logistic(u) +
             x * logistic(u) * logistic(-u) * W(1.595769121605730711759643L) * (1 + 3 * W(0.044715L) * x * x);
    default: return std::numeric_limits<W>::quiet_NaN();
  }
}

template <class T> Wide<T> ulp_of(Wide<T> x) {
  const Wide<T> magnitude = std::max<Wide<T>>(std::abs(x), std::numeric_limits<T>::min());
  return std::ldexp(Wide<T>(1), std::ilogb(magnitude) - std::numeric_limits<T>::digits + 1);
}

// Numbers in [low, high]: equally many in each binade and of both signs, and as many more spread evenly.
template <class T> std::vector<T> samples(double low, double high) {
  constexpr int64_t count = 60000;
  Generator rng(17);
  Tensor spread = Tensor::empty({2 * count}, DType::f64);
  rng.fill_uniform(spread, 0, 1);
  const double* u = spread.data<double>();
  const double largest = std::max(std::abs(low), std::abs(high));
  const double smallest = low > 0 ? low : std::max<double>(std::numeric_limits<T>::min(), largest * 1e-30);
  std::vector<T> x;
  for (int64_t i = 0; i < count; ++i) {
    x.push_back(static_cast<T>(low + (high - low) * u[2 * i]));
    const double magnitude = smallest * std::pow(largest / smallest, u[2 * i + 1]);
    for (const double v : {magnitude, -magnitude}) {
      if (v >= low && v <= high) x.push_back(static_cast<T>(v));
    }
  }
  return x;
}

// The number whose ulp is the unit of the error.
enum class Unit { of_result, of_input, of_one };

struct Row {
  Unary op;
  const char* name;
  double low, high;  // outside these nothing is rounded, or the result is outside the range of f32
  double f32, f64;   // bounds in ulp
  Unit unit = Unit::of_result;
  double unfused32 = f32, unfused64 = f64;  // the same without fused multiply-add

  template <class T> double bound(Isa isa) const {
    if (isa == Isa::scalar) return sizeof(T) == 4 ? unfused32 : unfused64;
    return sizeof(T) == 4 ? f32 : f64;
  }
};

class EveryIsaIsAccurate : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!supported(GetParam())) GTEST_SKIP() << "this CPU has no " << name_of(GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(Kernels, EveryIsaIsAccurate, ::testing::Values(Isa::scalar, Isa::avx2, Isa::avx512),
                         [](const auto& info) { return std::string(name_of(info.param)); });

template <class T, bool slope> void expect_within(const Table<T>& table, const Row& row, double bound) {
  const T p[kUnaryParameters] = {1, row.op == Unary::softplus ? T(1e30) : T(1), 1};  // no threshold for softplus
  const std::vector<T> x = samples<T>(row.low, row.high);
  const auto n = static_cast<int64_t>(x.size());
  std::vector<T> y(x.size()), dy(x.size(), 1), got(x.size());
  const auto& loops = table.unary[static_cast<size_t>(row.op)];
  loops.forward(n, x.data(), y.data(), p);
  if (slope) loops.backward(n, x.data(), y.data(), dy.data(), got.data(), false, p);
  if (!slope) got = y;
  double worst = 0;
  T where = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto v = static_cast<Wide<T>>(x[i]);
    const Wide<T> want = slope ? exact_slope(row.op, v) : exact(row.op, v);
    if (std::abs(want) < std::numeric_limits<T>::min() && std::abs(got[i]) <= std::numeric_limits<T>::min()) continue;
    const Wide<T> unit = ulp_of<T>(row.unit == Unit::of_one ? 1 : row.unit == Unit::of_input ? v : want);
    const auto error = static_cast<double>(std::abs(static_cast<Wide<T>>(got[i]) - want) / unit);
    if (!(error <= worst)) worst = error, where = x[i];
  }
  EXPECT_LE(worst, bound) << row.name << (slope ? "'" : "") << (sizeof(T) == 4 ? " in f32" : " in f64") << ", worst at "
                          << where;
}

constexpr Row kFunctions[] = {
    {Unary::sqrt, "sqrt", 1e-37, 1e37, 0.5, 0.5},
    {Unary::rsqrt, "rsqrt", 1e-37, 1e37, 1.5, 1.5},
    {Unary::square, "square", -1e18, 1e18, 0.5, 0.5},
    {Unary::reciprocal, "reciprocal", -1e37, 1e37, 0.5, 0.5},
    {Unary::exp, "exp", -87.3, 88.7, 1.1, 1.1},
    {Unary::expm1, "expm1", -90, 88.7, 1.8, 1.8},
    {Unary::log, "log", 1e-37, 1e37, 0.8, 0.8},
    {Unary::tanh, "tanh", -25, 25, 2, 2, Unit::of_result, 2.01, 2.01},
    {Unary::sigmoid, "sigmoid", -80, 40, 2.2, 2.2},
    {Unary::log_sigmoid, "log_sigmoid", -90, 80, 2.8, 2.8},
    {Unary::silu, "silu", -80, 40, 2.2, 2.2},
    {Unary::mish, "mish", -80, 40, 4, 4},
    {Unary::softsign, "softsign", -1e18, 1e18, 1.5, 1.5},
    {Unary::tanhshrink, "tanhshrink", -30, 30, 2, 2, Unit::of_input},
    {Unary::gelu, "gelu", -12, 12, 7, 4, Unit::of_result, 70, 150},
    {Unary::gelu_tanh, "gelu_tanh", -8, 12, 100, 100},
    {Unary::ndtr, "ndtr", -12, 12, 7, 4, Unit::of_result, 70, 150},
    {Unary::softplus, "softplus", -80, 90, 2.5, 2.5},
    {Unary::elu, "elu", -90, 90, 1.1, 1.1},
    {Unary::hardsigmoid, "hardsigmoid", -5, 5, 1, 1},
    {Unary::hardswish, "hardswish", -5, 5, 2, 2},
};

TEST_P(EveryIsaIsAccurate, FunctionsInUlp) {
  for (const Row& row : kFunctions) {
    expect_within<float, false>(table<float>(GetParam()), row, row.bound<float>(GetParam()));
    expect_within<double, false>(table<double>(GetParam()), row, row.bound<double>(GetParam()));
  }
}

// A derivative is a sum of terms of about 1 that cancel somewhere.
constexpr Row kSlopes[] = {
    {Unary::tanh, "tanh", -25, 25, 2, 2, Unit::of_one},   {Unary::sigmoid, "sigmoid", -80, 80, 1, 1, Unit::of_one},
    {Unary::silu, "silu", -80, 40, 10, 20, Unit::of_one}, {Unary::mish, "mish", -80, 40, 12, 25, Unit::of_one},
    {Unary::gelu, "gelu", -12, 12, 2, 2, Unit::of_one},   {Unary::gelu_tanh, "gelu_tanh", -8, 12, 20, 50, Unit::of_one},
};

TEST_P(EveryIsaIsAccurate, SlopesInUlp) {
  for (const Row& row : kSlopes) {
    expect_within<float, true>(table<float>(GetParam()), row, row.f32);
    expect_within<double, true>(table<double>(GetParam()), row, row.f64);
  }
}

template <class T> std::vector<T> normal_values(int64_t n, uint64_t seed, double mean, double stddev) {
  Generator rng(seed);
  Tensor x = Tensor::empty({n}, DType::f64);
  rng.fill_normal(x, mean, stddev);
  const double* values = x.data<double>();
  return {values, values + n};
}

constexpr int64_t kLengths[] = {1, 2, 5, 16, 33, 128, 1000, 5000};

// Rounding errors come from the exponent x − max, by half its ulp, and from the sum of positive terms in a few chains.
template <class T> void expect_softmax_within(const Table<T>& table, double bound) {
  const double eps = std::numeric_limits<T>::epsilon();
  for (const int64_t n : kLengths) {
    for (const double stddev : {0.1, 3.0, 30.0}) {
      const auto x = normal_values<T>(n, 5, 1, stddev);
      std::vector<T> y(x.size());
      const double log_sum = table.softmax(n, T(1), x.data(), y.data());
      const auto largest = static_cast<Wide<T>>(*std::max_element(x.begin(), x.end()));
      Wide<T> total = 0;
      for (const T v : x) total += std::exp(v - largest);
      EXPECT_LE(std::abs(log_sum - (largest + std::log(total))),
                bound * eps * (1 + static_cast<double>(std::abs(largest) + std::log(total))));
      for (size_t i = 0; i < x.size(); ++i) {
        const Wide<T> want = std::exp(x[i] - largest) / total;
        if (want < std::numeric_limits<T>::min()) continue;
        ASSERT_LE(std::abs(y[i] - want) / want, bound * eps * (1 + static_cast<double>(largest - x[i]) / 2)) << n;
      }
    }
  }
}

TEST_P(EveryIsaIsAccurate, SoftmaxAndItsLogSumRelativeToTheirTerms) {
  expect_softmax_within(table<float>(GetParam()), GetParam() == Isa::scalar ? 60 : 6);
  expect_softmax_within(table<double>(GetParam()), GetParam() == Isa::scalar ? 60 : 6);
}

// Relative to the largest |x−mean|·rstd·|gamma| + |beta| of the row.
template <class T> void expect_norms_within(const Table<T>& table, double bound) {
  const double eps = std::numeric_limits<T>::epsilon();
  for (const int64_t n : kLengths) {
    for (const double mean : {0.0, 5.0, 300.0}) {
      const auto x = normal_values<T>(n, 6, mean, 2), gamma = normal_values<T>(n, 7, 1, 0.5),
                 beta = normal_values<T>(n, 8, 0, 1);
      Wide<T> average = 0, variance = 0, squares = 0, largest = 0;
      for (const T v : x) average += v / static_cast<Wide<T>>(n);
      for (const T v : x) {
        variance += (v - average) * (v - average) / static_cast<Wide<T>>(n);
        squares += static_cast<Wide<T>>(v) * v / static_cast<Wide<T>>(n);
        largest = std::max<Wide<T>>(largest, std::abs(v - average));
      }
      const T epsilon = T(1e-3);
      std::vector<T> layer(x.size()), rms(x.size());
      T got_rms = 0;
      RowStatistics<T> got{};
      table.layer_norm(n, x.data(), gamma.data(), beta.data(), epsilon, layer.data(), &got);
      table.rms_norm(n, x.data(), gamma.data(), epsilon, rms.data(), &got_rms);
      const Wide<T> rstd = 1 / std::sqrt(variance + epsilon), scale = 1 / std::sqrt(squares + epsilon);
      const Wide<T> found = Wide<T>(got.mean) - Wide<T>(got.shift) / got.rstd;
      EXPECT_LE(std::abs(found - average), bound * eps * largest);
      EXPECT_LE(std::abs(got.rstd - rstd) / rstd, bound * eps);
      EXPECT_LE(std::abs(got_rms - scale) / scale, bound * eps);
      for (size_t i = 0; i < x.size(); ++i) {
        const Wide<T> size = largest * rstd * std::abs(Wide<T>(gamma[i])) + std::abs(Wide<T>(beta[i]));
        ASSERT_LE(std::abs(layer[i] - ((x[i] - average) * rstd * gamma[i] + beta[i])), bound * eps * size) << n;
        const Wide<T> want = x[i] * scale * gamma[i];
        ASSERT_LE(std::abs(rms[i] - want), bound * eps * std::abs(want)) << n;
      }
    }
  }
}

TEST_P(EveryIsaIsAccurate, NormsRelativeToTheirTerms) {
  expect_norms_within(table<float>(GetParam()), GetParam() == Isa::scalar ? 60 : 6);
  expect_norms_within(table<double>(GetParam()), GetParam() == Isa::scalar ? 60 : 6);
}

}  // namespace
}  // namespace qing::kernels
