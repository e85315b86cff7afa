// Means, variances and norms equal those of wider arithmetic, rounded once: for every count up to 1000, and for rows
// for which sums in the row's own precision fail. CTest runs this suite on every instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>

#include "autograd/naive.h"

namespace qing {
namespace {

constexpr DType kFloating[] = {DType::f32, DType::f64};
constexpr int64_t kCounts = 1000;
constexpr double kSmallEps = 1e-12;

std::vector<long double> values_of(const Tensor& x) {
  const Tensor wide = x.alias().to(DType::f64).contiguous();
  return {wide.data<double>(), wide.data<double>() + wide.numel()};
}

long double exact_mean(const std::vector<long double>& x) {
  long double sum = 0;
  for (const long double v : x) sum += v;
  return sum / static_cast<long double>(x.size());
}

// x minus its first element, which changes no deviation. Wider arithmetic computes the mean of these without a rounding
// error that matters for the deviations.
std::vector<long double> moved_of(const Tensor& x) {
  std::vector<long double> values = values_of(x);
  const long double first = values[0];
  for (long double& v : values) v -= first;
  return values;
}

// Σ (x − mean)², in two passes.
long double exact_squares(const std::vector<long double>& x) {
  const long double mean = exact_mean(x);
  long double squares = 0;
  for (const long double v : x) squares += (v - mean) * (v - mean);
  return squares;
}

// The number of `x` that differ from `value`.
int64_t others(const Tensor& x, double value) {
  int64_t count = 0;
  for (const long double v : values_of(x)) count += v != static_cast<long double>(value) ? 1 : 0;
  return count;
}

Tensor leaf(Tensor x) { return set_requires_grad(x); }

// Rows of n numbers whose mean is large beside their spread, or whose squares leave the range of f32.
std::vector<Tensor> hard_rows(int64_t n, DType dtype) {
  const Tensor noise = test::normal({1, n}, static_cast<uint64_t>(n), dtype);
  const Tensor steps = (Tensor::arange(n).to(dtype).reshape({1, n}) * 2.0);
  return {noise + 305.47, noise * 1e-3 + 1e4,  steps + 16777216.0,
          noise * 1e18,   noise * 1e19 + 3e19, noise * 1e-4 - 1.0};
}

TEST(ExactMeans, OfEqualNumbersAreThatNumber) {
  for (const DType dtype : kFloating) {
    for (const double value : {1.0, 3.0, 305.5}) {
      int64_t wrong = 0;
      for (int64_t n = 1; n <= kCounts; ++n) {
        wrong += others(mean(Tensor::full({n}, value, dtype)), value);
        wrong += others(mean(Tensor::full({n, 3}, value, dtype), {0}), value);
      }
      EXPECT_EQ(wrong, 0) << "of " << value << " in " << name_of(dtype);
    }
  }
}

// (0 − mean)·rstd is infinite here: vector lanes beyond a row's end must not reach the row's gradient.
TEST(ExactMeans, NormsOfRowsOfHugeEqualNumbersHaveFiniteGradients) {
  for (int64_t n = 1; n <= 40; ++n) {
    const Tensor dy = test::normal({1, n}, static_cast<uint64_t>(n), DType::f32);
    for (const bool even : {true, false}) {
      const Tensor x = leaf(Tensor::full({1, n}, 1e37)), r = leaf(Tensor::full({1, n}, 1e37));
      const Tensor w = leaf(Tensor::full({n}, 1)), b = leaf(Tensor::zeros({n}));
      const Tensor up = even ? Tensor::full({1, n}, 1) : dy;
      backward(layer_norm(x, Shape{n}, w, b, kSmallEps), {.gradient = up});
      backward(rms_norm(r, Shape{n}, {}, kSmallEps), {.gradient = up});
      // x̂ is 0: the gradient is rstd·(dy − mean(dy)), which an even dy makes 0.
      const long double mean = exact_mean(values_of(up));
      for (int64_t i = 0; i < n; ++i) {
        const double want = static_cast<double>(1e6L * (values_of(up)[static_cast<size_t>(i)] - mean));
        EXPECT_NEAR(grad(x).at({0, i}), want, even ? 0 : 2) << n;
        EXPECT_EQ(grad(w).at({i}), 0) << n;
        EXPECT_LT(std::abs(grad(r).at({0, i})), 1e-36) << n;  // units of 1/x
      }
    }
  }
}

// The C library's functions are wrong if the processor flushes denormal numbers to zero.
TEST(ExactMeans, PowerNormsOfDenormalNumbers) {
  for (const double p : {3.0, 2.0, 2.5, -1.5}) {
    const double one = norm(Tensor::full({1}, 4e-310, DType::f64), p).item();
    EXPECT_NEAR(one / 1e-310, 4, 1e-9) << p;
    const double two = norm(Tensor::of({2e-310, 4e-310}, DType::f64), p).item();
    EXPECT_NEAR(two / 1e-310, std::pow(std::pow(2, p) + std::pow(4, p), 1 / p), 1e-9) << p;
  }
  EXPECT_NEAR(norm(Tensor::full({1}, 1e-40), 3).item() / 1e-40, 1, 1e-4);
}

TEST(ExactMeans, InF32AreTheExactMeanRounded) {
  for (int64_t n = 1; n <= kCounts; ++n) {
    const Tensor x = test::normal({n, 5}, static_cast<uint64_t>(n), DType::f32) + 0.1;
    const Tensor by_column = mean(x, {0}), by_row = mean(x.transpose(0, 1).contiguous(), {1});
    for (int64_t c = 0; c < 5; ++c) {
      const auto want = static_cast<float>(exact_mean(values_of(x.slice(1, c, c + 1))));
      ASSERT_EQ(by_column.data<float>()[c], want) << n;
      ASSERT_EQ(by_row.data<float>()[c], want) << n;
    }
  }
  EXPECT_EQ(mean(Tensor::full({2}, 3e38)).item(), static_cast<double>(3e38F)) << "the sum is beyond f32";
}

TEST(ExactMeans, SpreadTheirGradientByADivision) {
  for (int64_t n = 1; n <= kCounts; ++n) {
    const Tensor x = leaf(Tensor::zeros({n}));
    backward(mean(x), {.gradient = Tensor::full({}, 3)});
    ASSERT_EQ(grad(x).at({n - 1}), static_cast<double>(3.0F / static_cast<float>(n)));
  }
}

TEST(ExactMeans, RefuseIntegersByTheirName) {
  try {
    mean(Tensor::arange(3));
    FAIL();
  } catch (const DTypeError& error) { EXPECT_EQ(std::string(error.what()).rfind("mean: ", 0), 0U) << error.what(); }
}

TEST(ExactVariances, OfEqualNumbersAreZeroWithoutASlope) {
  for (const DType dtype : kFloating) {
    for (const double value : {1.0, 0.1, 305.47, 150494407424305.47}) {
      int64_t wrong = 0;
      for (int64_t n = 2; n <= kCounts; ++n) {
        const Tensor x = leaf(Tensor::full({n}, value, dtype));
        wrong += others(var(x), 0);
        const Tensor spread = std(x, {}, 1);
        wrong += others(spread, 0);
        backward(spread);
        wrong += others(grad(x), 0);
        wrong += others(gradients({std(x, {}, 1)}, {x}, {.create_graph = true})[0], 0);
        wrong += others(var(Tensor::full({n, 2}, value, dtype), {0}), 0);
      }
      EXPECT_EQ(wrong, 0) << "of " << value << " in " << name_of(dtype);
    }
  }
}

TEST(ExactVariances, AreTheExactVarianceRounded) {
  EXPECT_EQ(var(Tensor::of({16777216., 16777218., 16777220.})).item(), 4);
  EXPECT_EQ(std(Tensor::of({3e19, -3e19}), {}, 1).item(), static_cast<double>(4.2426406871192851464e19F));
  for (int64_t n = 2; n <= kCounts; n += 7) {
    for (const Tensor& x : hard_rows(n, DType::f32)) {
      const auto want = exact_squares(moved_of(x)) / static_cast<long double>(n - 1);
      ASSERT_EQ(var(x).item(), static_cast<double>(static_cast<float>(want))) << to_string(x);
      ASSERT_EQ(std(x, {}, 1).item(), static_cast<double>(static_cast<float>(std::sqrt(want)))) << to_string(x);
      ASSERT_EQ(var(x.reshape({n, 1}).expand({n, 2}).contiguous(), {0}).at({1}),
                static_cast<double>(static_cast<float>(want)));
    }
    for (const Tensor& x : hard_rows(n, DType::f64)) {
      const auto want = static_cast<double>(exact_squares(moved_of(x)) / static_cast<long double>(n - 1));
      ASSERT_NEAR(var(x).item(), want, 1e-14 * want);
    }
  }
}

// Lanes whose powers leave the range of their dtype or of double, next to one whose powers do not.
TEST(ExactVectorNorms, StayExactWherePowersOverflowOrUnderflow) {
  struct Case {
    DType dtype;
    double unit;
  };
  for (const auto& [dtype, unit] : {Case{DType::f32, 1e19}, Case{DType::f32, 1e-30}, Case{DType::f32, 5e37},
                                    Case{DType::f64, 1e200}, Case{DType::f64, 1e-200}, Case{DType::f64, 2e307}}) {
    for (const double p : {2.0, 3.0, 7.5, 100.0, 0.5, -1.0, -2.0, -9.0}) {
      const double want = std::pow(std::pow(3.0, p) + std::pow(4.0, p), 1 / p);
      const double top = dtype == DType::f32 ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
      const double tolerance = dtype == DType::f32 ? 2e-7 : 3e-14;
      const Tensor pair = Tensor::from<double>({3, -4}, {1, 2}).to(dtype);
      const Tensor lanes = cat({pair * unit, pair, pair * 0.0}, 0);
      const Tensor norms = norm(lanes, p, {1});
      if (want * unit < top) { EXPECT_NEAR(norms.at({0}) / (want * unit), 1, tolerance) << p << ", " << unit; }
      EXPECT_EQ(norms.at({1}), norm(pair, p).item()) << "a lane's bits do not depend on the others";
      EXPECT_NEAR(norms.at({1}), want, tolerance * want) << p;
      EXPECT_EQ(norms.at({2}), 0) << p;
    }
    const Tensor x = Tensor::from<double>({3, -4}, {2}).to(dtype) * unit, zero = Tensor::zeros({2}, dtype);
    const double tolerance = dtype == DType::f32 ? 3e-7 : 1e-15;
    EXPECT_NEAR(normalize(x, 2, 0, 0).at({1}), -0.8, tolerance);
    EXPECT_NEAR(pairwise_distance(x, zero, 2, 0).item() / unit, 5, 5 * tolerance);
    EXPECT_NEAR(cosine_similarity(x, x * -0.5, 0, 0).item(), -1, 2 * tolerance);
    EXPECT_NEAR(gradients({norm(leaf(x))}, {x})[0].at({0}), 0.6, tolerance) << unit;
  }
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double p : {2.0, 3.0, 100.0}) {
    EXPECT_EQ(norm(Tensor::of({infinity, 1.}), p).item(), infinity);
    EXPECT_TRUE(std::isnan(norm(Tensor::of({std::nan(""), 1e30}), p).item()));
  }
}

using Norm = std::function<Tensor(const Tensor&)>;

// Every norm that subtracts the mean of a row [1, n].
std::vector<std::pair<const char*, Norm>> centred_norms(double eps) {
  const auto fused = [eps](const Tensor& x) {
    const Shape row{x.size(1)};
    return dropout_add_layer_norm(Tensor::zeros(x.shape(), x.dtype()), x, Tensor::full(row, 1, x.dtype()),
                                  Tensor::zeros(row, x.dtype()), eps, 0, nullptr);
  };
  const auto looked_up = [eps](const Tensor& x) {
    const Shape row{x.size(1)};
    return embedding_layer_norm({{x, Tensor::zeros({1}, DType::i64)}}, Tensor::full(row, 1, x.dtype()),
                                Tensor::zeros(row, x.dtype()), eps, 0, nullptr);
  };
  const auto as_channels = [](const Tensor& x) { return reshape(x, {1, 1, x.size(1)}); };
  return {{"layer_norm", [eps](const Tensor& x) { return layer_norm(x, Shape{x.size(1)}, {}, {}, eps); }},
          {"dropout_add_layer_norm", fused},
          {"embedding_layer_norm", looked_up},
          {"group_norm", [=](const Tensor& x) { return group_norm(as_channels(x), 1, {}, {}, eps); }},
          {"instance_norm", [=](const Tensor& x) { return instance_norm(as_channels(x), {}, {}, eps); }},
          {"batch_norm", [=](const Tensor& x) { return batch_norm(as_channels(x), {}, {}, {}, {}, true, 0.1, eps); }}};
}

TEST(ExactNorms, OfEqualNumbersAreZero) {
  for (const DType dtype : kFloating) {
    for (const auto& [name, norm] : centred_norms(kSmallEps)) {
      int64_t wrong = 0;
      for (const double value : {305.47, 0.0}) {
        for (int64_t n = 2; n <= kCounts; ++n) wrong += others(norm(Tensor::full({1, n}, value, dtype)), 0);
      }
      EXPECT_EQ(wrong, 0) << name << " in " << name_of(dtype);
    }
  }
}

TEST(ExactNorms, OfOneNanAreNan) {
  for (const DType dtype : kFloating) {
    for (const double other : {0.0, 1e-30, 1.0, 1e30}) {
      const Tensor x = Tensor::from<double>({other, std::nan(""), other, other, -other}, {1, 5}).to(dtype);
      for (const auto& [name, norm] : centred_norms(kSmallEps)) {
        for (const long double v : values_of(norm(x))) EXPECT_TRUE(std::isnan(v)) << name << " beside " << other;
      }
    }
  }
}

// The gradient by x of Σ up·norm(x).
Tensor slope(const Norm& norm, const Tensor& row, const Tensor& up, bool create_graph) {
  const Tensor x = leaf(row.clone());
  const Tensor loss = sum(norm(x).reshape(up.shape()) * up);
  return gradients({loss}, {x}, {.create_graph = create_graph})[0].alias();
}

TEST(ExactNorms, OfHardRowsAndTheirGradientsAreThoseOfWiderArithmetic) {
  for (const DType dtype : kFloating) {
    const double tolerance = 8 * (dtype == DType::f32 ? 1.2e-7 : 2.3e-16);
    for (int64_t n = 2; n <= kCounts; n += 37) {
      const Tensor up = test::normal({1, n}, 5, dtype);
      for (const Tensor& x : hard_rows(n, dtype)) {
        const auto wide = moved_of(x), by = values_of(up);
        const long double mean = exact_mean(wide), count = static_cast<long double>(n);
        const long double rstd = 1 / std::sqrt(exact_squares(wide) / count + static_cast<long double>(kSmallEps));
        long double total = 0, along = 0, largest_up = 0, largest = 0;
        for (size_t i = 0; i < wide.size(); ++i) {
          total += by[i] / count;
          along += by[i] * (wide[i] - mean) * rstd / count;
          largest = std::max(largest, std::abs(wide[i] - mean) * rstd);
          largest_up = std::max(largest_up, std::abs(by[i]));
        }
        for (const auto& [name, norm] : centred_norms(kSmallEps)) {
          const auto y = values_of(norm(x));
          std::vector<std::vector<long double>> slopes = {values_of(slope(norm, x, up, false))};
          // A recorded gradient is made of operations, whose squares of such numbers leave f32.
          const bool fits = dtype == DType::f64 || std::abs(exact_mean(values_of(x))) + 1 / rstd < 1e18;
          if (std::string(name) == "layer_norm" && fits) slopes.push_back(values_of(slope(norm, x, up, true)));
          for (size_t i = 0; i < wide.size(); ++i) {
            const long double normal = (wide[i] - mean) * rstd;
            ASSERT_NEAR(static_cast<double>(y[i]), static_cast<double>(normal),
                        tolerance * static_cast<double>(largest))
                << name << " of " << to_string(x);
            const long double want = rstd * (by[i] - total - normal * along);
            for (const auto& found : slopes) {
              ASSERT_NEAR(static_cast<double>(found[i] / rstd), static_cast<double>(want / rstd),
                          4 * tolerance * static_cast<double>(largest_up * (1 + largest)))
                  << name << "'s gradient of " << to_string(x);
            }
          }
        }
      }
    }
  }
}

TEST(ExactNorms, OfLongRowsDoNotLoseTheirMean) {
  const Tensor x = test::normal({1, 1 << 20}, 3, DType::f32) + 3.0;
  const auto wide = values_of(x);
  const long double mean = exact_mean(wide), rstd = 1 / std::sqrt(exact_squares(wide) / (1 << 20));
  for (const auto& [name, norm] : centred_norms(0)) {
    const auto y = values_of(norm(x));
    long double worst = 0;
    for (size_t i = 0; i < y.size(); ++i) worst = std::max(worst, std::abs(y[i] - (wide[i] - mean) * rstd));
    EXPECT_LT(static_cast<double>(worst), 2e-6) << name;
  }
}

TEST(ExactNorms, RootMeanSquaresStayInRange) {
  for (const double size : {3e19, 1e-25}) {
    const Tensor x = Tensor::of({size, -size, size});
    EXPECT_EQ(others(abs(rms_norm(x, Shape{3}, {}, 0.0)), 1), 0) << size;
    EXPECT_EQ(others(abs(rms_norm(x, Shape{3}, Tensor::full({3}, 2), 0.0)), 2), 0) << size;
  }
}

TEST(ExactNorms, KeepTheBitsOfARowInAnyBatchAndOnAnyThreads) {
  const std::vector<Tensor> rows = hard_rows(333, DType::f32);
  const Tensor whole = cat(rows, 0);
  test::expect_same_bits_on_threads([&] {
    std::vector<Tensor> results = {layer_norm(whole, Shape{333}), rms_norm(whole, Shape{333}), var(whole, {1}),
                                   mean(whole, {0})};
    for (size_t r = 0; r < rows.size(); ++r) {
      const auto row = static_cast<int64_t>(r);
      EXPECT_TRUE(test::same_bits(results[0].slice(0, row, row + 1), layer_norm(rows[r], Shape{333}))) << r;
      EXPECT_TRUE(test::same_bits(results[1].slice(0, row, row + 1), rms_norm(rows[r], Shape{333}))) << r;
    }
    return results;
  });
}

TEST(ExactPools, AreTheExactMeanOfTheirWindowsRounded) {
  int64_t wrong = 0;
  for (const DType dtype : kFloating) {
    for (int64_t n = 1; n <= kCounts; ++n) {
      const Tensor same = Tensor::full({1, n}, 1, dtype);
      wrong += others(avg_pool1d(same, n), 1) + others(adaptive_avg_pool1d(same, 1), 1);
      wrong += others(embedding_bag(Tensor::full({1, 1}, 1, dtype), Tensor::zeros({1, n}, DType::i64)), 1);
    }
    wrong += others(adaptive_avg_pool2d(Tensor::full({1, 7, 7}, 1, dtype), 1), 1);
    wrong += others(avg_pool2d(Tensor::full({1, 21, 21}, 1, dtype), 7), 1);
  }
  EXPECT_EQ(wrong, 0);
  for (int64_t n = 1; n <= kCounts; ++n) {
    const Tensor x = test::normal({1, n}, static_cast<uint64_t>(n), DType::f32) + 0.1;
    const auto want = static_cast<float>(exact_mean(values_of(x)));
    ASSERT_EQ(avg_pool1d(x, n).item(), static_cast<double>(want)) << n;
    ASSERT_EQ(adaptive_avg_pool1d(x, 1).item(), static_cast<double>(want)) << n;
  }
}

TEST(ExactPools, SpreadTheirGradientByADivision) {
  for (int64_t n = 1; n <= kCounts; ++n) {
    const auto want = static_cast<double>(3.0F / static_cast<float>(n));
    const Tensor x = leaf(Tensor::zeros({1, n})), table = leaf(Tensor::zeros({n, 1}));
    backward(avg_pool1d(x, n), {.gradient = Tensor::full({1, 1}, 3)});
    ASSERT_EQ(grad(x).at({0, n - 1}), want) << n;
    backward(embedding_bag(table, Tensor::arange(n).reshape({1, n})), {.gradient = Tensor::full({1, 1}, 3)});
    ASSERT_EQ(grad(table).at({n - 1, 0}), want) << n;
  }
}

TEST(ExactLosses, HaveOneGradientWhetherRecordedOrNot) {
  for (int64_t n = 1; n <= kCounts; ++n) {
    const Tensor x = leaf(Tensor::full({n}, 1.5)), target = Tensor::zeros({n}), up = Tensor::full({}, 3);
    const auto want = static_cast<double>(3.0F / static_cast<float>(n));
    for (const bool recorded : {false, true}) {
      const GradientsOptions options{.create_graph = recorded, .gradient = up};
      ASSERT_EQ(gradients(l1_loss(x, target), {x}, options)[0].at({0}), want) << n;
    }
  }
}

}  // namespace
}  // namespace qing
