// Elementwise operations: broadcasting over any strides compared with a plain loop, accuracy, derivatives at kinks,
// integers.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// A tensor that broadcasts to `shape`, of random strides.
Tensor operand(const Shape& shape, Generator& rng) {
  Shape own = shape;
  for (int64_t& size : own) {
    if (*rc::gen::inRange(0, 3) == 0) size = 1;
  }
  own.erase(own.begin(), own.begin() + *rc::gen::inRange<int64_t>(0, static_cast<int64_t>(own.size()) + 1));
  const auto rank = static_cast<int64_t>(own.size());
  if (rank == 0) return randn({}, rng);
  switch (*rc::gen::inRange(0, 3)) {
    case 0: return randn(own, rng);
    case 1: {  // first and last dimension are swapped in memory
      std::swap(own.front(), own.back());
      return randn(own, rng).transpose(0, rank - 1);
    }
    default: {  // every second element
      own.back() *= 2;
      return randn(own, rng).slice(rank - 1, 0, own.back(), 2);
    }
  }
}

TEST(ElementwiseProperty, BroadcastingEqualsAPlainLoop) {
  EXPECT_TRUE(rc::check([] {
    Generator rng(*rc::gen::inRange<uint64_t>(0, 1000));
    Shape shape;
    const auto rank = *rc::gen::inRange(0, 4);
    for (int d = 0; d < rank; ++d) shape.push_back(*rc::gen::inRange(0, 40));
    const Tensor a = operand(shape, rng), b = operand(shape, rng);
    const Shape joint = broadcast_shapes(a.shape(), b.shape(), "test");
    const Tensor left = a.expand(joint).contiguous(), right = b.expand(joint).contiguous();
    const Tensor results[] = {add(a, b), sub(a, b), mul(a, b), div(a, b), maximum(a, b)};
    for (const Tensor& result : results) RC_ASSERT(result.shape() == joint && result.is_contiguous());
    for (int64_t i = 0; i < numel_of(joint); ++i) {
      const float p = left.data<float>()[i], q = right.data<float>()[i];
      const float wanted[] = {p + q, p - q, p * q, p / q, std::max(p, q)};
      for (size_t k = 0; k < 5; ++k) RC_ASSERT(results[k].data<float>()[i] == wanted[k]);
    }
  }));
}

TEST(Elementwise, NaNAndInfinitiesPassAsIeeeSays) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::from<float>({inf, -inf, nan, 0.0F}, {4}), y = Tensor::from<float>({inf, inf, 1, 0}, {4});
  const auto value = [](const Tensor& t, int64_t i) { return t.data<float>()[i]; };
  EXPECT_EQ(value(x + y, 0), inf);
  EXPECT_TRUE(std::isnan(value(x + y, 1)));
  EXPECT_TRUE(std::isnan(value(x * y, 2)));
  EXPECT_TRUE(std::isnan(value(x / y, 3)));
  EXPECT_TRUE(std::isnan(value(maximum(x, y), 2)));
  EXPECT_TRUE(std::isnan(value(relu(x), 2)));
  EXPECT_EQ(value(exp(x), 1), 0);
  EXPECT_EQ(value(tanh(x), 1), -1);
  EXPECT_EQ(value(sigmoid(x), 0), 1);
}

// The distance between two numbers in units in the last place of the expected one.
double ulps(float got, double wanted) {
  int exponent = 0;
  std::frexp(wanted, &exponent);
  return std::abs(static_cast<double>(got) - wanted) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

struct Accuracy {
  const char* name;
  Tensor (*ours)(const Tensor&);
  double (*exact)(double);
  double low, high, bound;
};

TEST(Elementwise, VectorFunctionsAreAccurate) {
  const Accuracy all[] = {
      {"exp", exp, [](double v) { return std::exp(v); }, -87, 88, 2},
      {"tanh", tanh, [](double v) { return std::tanh(v); }, -12, 12, 3},
      {"log", log, [](double v) { return std::log(v); }, 1e-6, 1e6, 2},
      {"expm1", expm1, [](double v) { return std::expm1(v); }, -20, 20, 4},
      {"sigmoid", sigmoid, [](double v) { return 1 / (1 + std::exp(-v)); }, -80, 80, 4},
      {"silu", silu, [](double v) { return v / (1 + std::exp(-v)); }, -80, 80, 4},
      {"rsqrt", rsqrt, [](double v) { return 1 / std::sqrt(v); }, 1e-6, 1e6, 2},
  };
  Generator rng(4);
  for (const Accuracy& f : all) {
    Tensor x = Tensor::empty({200'000});
    rng.fill_uniform(x, f.low, f.high);
    const Tensor y = f.ours(x);
    double worst = 0;
    for (int64_t i = 0; i < x.numel(); ++i)
      worst = std::max(worst, ulps(y.data<float>()[i], f.exact(x.data<float>()[i])));
    EXPECT_LE(worst, f.bound) << f.name;
  }
}

double slope_at(Tensor (*f)(const Tensor&), double at) {
  Tensor x = Tensor::full({}, at, DType::f64);
  set_requires_grad(x);
  backward(f(x));
  return grad(x).item();
}

TEST(Elementwise, SlopesAtKinksAreThoseOfPyTorch) {
  EXPECT_EQ(slope_at([](const Tensor& x) { return relu(x); }, 0), 0);
  EXPECT_EQ(slope_at([](const Tensor& x) { return abs(x); }, 0), 0);
  EXPECT_EQ(slope_at([](const Tensor& x) { return sign(x); }, 3), 0);
  EXPECT_EQ(slope_at([](const Tensor& x) { return floor(x); }, 2.5), 0);
  EXPECT_EQ(slope_at([](const Tensor& x) { return leaky_relu(x, 0.1); }, 0), 0.1);
  EXPECT_EQ(slope_at([](const Tensor& x) { return relu6(x); }, 6), 0);
  EXPECT_EQ(slope_at([](const Tensor& x) { return hardtanh(x); }, 1), 0);
}

TEST(Elementwise, EqualOnesShareTheGradientOfTheLargest) {
  Tensor a = Tensor::from<double>({1, 2, 3}, {3}), b = Tensor::from<double>({1, 5, 0}, {3});
  set_requires_grad(a);
  set_requires_grad(b);
  backward(sum(maximum(a, b)));
  const double of_a[] = {0.5, 0, 1}, of_b[] = {0.5, 1, 0};
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(grad(a).data<double>()[i], of_a[i]);
    EXPECT_EQ(grad(b).data<double>()[i], of_b[i]);
  }
}

TEST(Elementwise, IntegersAddSubtractAndMultiply) {
  const Tensor a = Tensor::from<int64_t>({1, 2, 3}, {3}), b = Tensor::from<int64_t>({10}, {1});
  EXPECT_EQ((a + b).at({2}), 13);
  EXPECT_EQ((a - b).at({0}), -9);
  EXPECT_EQ((a * b).at({1}), 20);
  EXPECT_EQ((a + 1).at({0}), 2);
  EXPECT_EQ((a + 1).dtype(), DType::i64);
  EXPECT_THROW(a + 0.5, DTypeError);
  EXPECT_THROW(a / b, DTypeError);
  EXPECT_THROW(a + Tensor::zeros({3}), DTypeError);
}

TEST(Triangle, IsEmptyBelowTheLastRow) {
  for (const int64_t diagonal : {-3, -4, -100}) {
    EXPECT_EQ(sum(tril(ones({3, 3}), diagonal)).item(), 0);
    EXPECT_EQ(sum(triu(ones({3, 3}), diagonal)).item(), 9);
  }
  EXPECT_EQ(sum(tril(ones({3, 3}), -2)).item(), 1);
  EXPECT_EQ(sum(tril(ones({1, 4}), -1)).item(), 0);
}

TEST(Losses, BinaryCrossEntropyIsFiniteAtCertaintyInBothWays) {
  Tensor p = Tensor::from<double>({1, 0}, {2});
  set_requires_grad(p);
  const Tensor target = Tensor::from<double>({1, 0}, {2});
  const Tensor recorded =
      gradients(binary_cross_entropy(p, target, {}, Reduction::sum), {p}, {.create_graph = true})[0];
  backward(binary_cross_entropy(p, target, {}, Reduction::sum));
  for (int64_t i = 0; i < 2; ++i) EXPECT_EQ(recorded.alias().at({i}), grad(p).at({i}));
}

TEST(Reductions, ASumOfTenMillionIsExactToAFewUlp) {
  Generator rng(8);
  Tensor x = Tensor::empty({10'000'000});
  rng.fill_uniform(x, 0, 1);
  double exact = 0;
  for (const float value : x.span<float>()) exact += value;
  EXPECT_LE(ulps(static_cast<float>(sum(x).item()), exact), 4);
  EXPECT_LE(ulps(static_cast<float>(sum(x.reshape({1000, 10000}), {1}).at({7})),
                 [&] {
                   double part = 0;
                   for (int64_t i = 70'000; i < 80'000; ++i) part += x.data<float>()[i];
                   return part;
                 }()),
            4);
}

TEST(Reductions, GiveTheSameBitsForAnyNumberOfThreads) {
  const int before = num_threads();
  std::vector<Tensor> results[2];
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    Generator rng(8);
    Tensor x = randn({300, 70, 9}, rng);
    set_requires_grad(x);
    const Tensor y = sum(var(x, {0})) + sum(softmax(x, 1) * cumsum(x, 0)) + sum(logsumexp(x, {0, 2})) +
                     sum(sort(x, 0).values * x.slice(0, 0, 300)) + sum(amax(x, {1}));
    backward(y);
    results[threads / 2] = {detach(y), grad(x)};
  }
  set_num_threads(before);
  for (size_t i = 0; i < 2; ++i) {
    const size_t bytes = static_cast<size_t>(results[0][i].numel()) * sizeof(float);
    EXPECT_EQ(std::memcmp(results[0][i].data<float>(), results[1][i].data<float>(), bytes), 0);
  }
}

// backward() computes the derivative in one loop, and create_graph by operations. Both must agree.
TEST(Slopes, AreTheSameRecordedOrNotWhereFunctionsBend) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  struct Case {
    const char* name;
    std::function<Tensor(const Tensor&)> f;
    std::vector<double> at, slopes;
  };
  const double third = std::numbers::pi * std::numbers::pi / 3;
  const std::vector<Case> cases = {
      {"hardswish", [](const Tensor& x) { return hardswish(x); }, {-3, 0, 3, 3.5}, {0, 0.5, 1, 1}},
      {"hardtanh", [](const Tensor& x) { return hardtanh(x, 1, 1); }, {0.5, 1, 1.5}, {0, 0, 0}},
      {"hardtanh", [](const Tensor& x) { return hardtanh(x); }, {-1, -0.5, 1}, {0, 1, 0}},
      {"logit", [](const Tensor& x) { return logit(x); }, {-1, 0.5, 2}, {nan, 4, nan}},
      {"sinc",
       [](const Tensor& x) { return sinc(x); },
       {0, 1e-7, -1e-7, 1e-8},
       {0, -third * 1e-7, third * 1e-7, -third * 1e-8}},
  };
  for (const DType dtype : {DType::f32, DType::f64}) {
    const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-14;
    for (const Case& c : cases) {
      Tensor x = Tensor::from<double>(c.at, {static_cast<int64_t>(c.at.size())}).to(dtype);
      set_requires_grad(x);
      backward(sum(c.f(x)));
      const Tensor plain = grad(x).to(DType::f64);
      const Tensor recorded = gradients(sum(c.f(x)), {x}, {.create_graph = true})[0].alias().to(DType::f64);
      for (size_t i = 0; i < c.at.size(); ++i) {
        for (const Tensor& slope : {plain, recorded}) {
          const double value = slope.data<double>()[i];
          if (std::isnan(c.slopes[i])) {
            EXPECT_TRUE(std::isnan(value)) << c.name << " at " << c.at[i];
          } else {
            EXPECT_NEAR(value, c.slopes[i], tolerance * std::abs(c.slopes[i])) << c.name << " at " << c.at[i];
          }
        }
      }
    }
  }
}

TEST(Slopes, TheSecondOfSincIsKnownNearZero) {
  for (const double at : {0.0, 1e-9, 1e-5, 2e-3}) {
    Tensor x = Tensor::full({}, at, DType::f64);
    set_requires_grad(x);
    const Tensor first = gradients(sinc(x), {x}, {.create_graph = true})[0];
    const double pi2 = std::numbers::pi * std::numbers::pi;
    EXPECT_NEAR(gradients(first, {x})[0].item(), -pi2 / 3 + pi2 * pi2 * at * at / 10, 1e-8) << at;
  }
}

}  // namespace
}  // namespace qing
