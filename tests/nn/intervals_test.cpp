#include <qing/nn/intervals.h>

#include <gtest/gtest.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

ConfusionMatrix matrix_of(const std::vector<std::vector<int>>& counts) {
  ConfusionMatrix matrix(static_cast<int64_t>(counts.size()));
  for (size_t row = 0; row < counts.size(); ++row) {
    for (size_t column = 0; column < counts.size(); ++column) {
      for (int i = 0; i < counts[row][column]; ++i) matrix.add(static_cast<int64_t>(row), static_cast<int64_t>(column));
    }
  }
  return matrix;
}

TEST(Intervals, WilsonsAreThoseOfTheLiterature) {
  // The values of statsmodels' proportion_confint(method="wilson").
  const Interval tenth = wilson_interval(10, 100);
  EXPECT_NEAR(tenth.low, 0.0552291370606751, 1e-12);
  EXPECT_NEAR(tenth.high, 0.1743656615049135, 1e-12);
  const Interval none = wilson_interval(0, 10);
  EXPECT_NEAR(none.low, 0, 1e-12);
  EXPECT_NEAR(none.high, 0.2775327998628892, 1e-12);
  EXPECT_NEAR(wilson_interval(10, 10).low, 1 - none.high, 1e-12);
  EXPECT_EQ(wilson_interval(0, 0).low, 0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
  EXPECT_THROW(wilson_interval(3, 2), ValueError);
  EXPECT_THROW(wilson_interval(-1, 2), ValueError);
  EXPECT_THROW(wilson_interval(1, 2, 0), ValueError);
}

// As scipy 1.17.1 says; statsmodels 0.15.0 misses both ends by a rounding error for some totals.
TEST(Intervals, WilsonsOfNoneAndOfAllEndExactlyThere) {
  for (int64_t total = 1; total <= 2000; ++total) {
    ASSERT_EQ(wilson_interval(0, total).low, 0) << total;
    ASSERT_EQ(wilson_interval(total, total).high, 1) << total;
  }
}

TEST(Intervals, TheBootstrapOfAShareIsAboutWilsons) {
  const ConfusionMatrix matrix = matrix_of({{300, 100}, {150, 450}});
  const Interval boot = bootstrap_interval(matrix, &ConfusionMatrix::accuracy, 2000);
  const Interval wilson = wilson_interval(750, 1000);
  EXPECT_NEAR(boot.low, wilson.low, 0.003);
  EXPECT_NEAR(boot.high, wilson.high, 0.003);
  const Interval narrow = bootstrap_interval(matrix, &ConfusionMatrix::accuracy, 2000, 0.5);
  EXPECT_LT(narrow.high - narrow.low, 0.5 * (boot.high - boot.low));
}

TEST(Intervals, TheBootstrapDependsOnItsSeedAlone) {
  const ConfusionMatrix matrix = matrix_of({{30, 7, 3}, {5, 20, 9}, {4, 6, 40}});
  const int threads = num_threads();
  const auto interval = [&](int with, uint64_t seed) {
    set_num_threads(with);
    return bootstrap_interval(matrix, &ConfusionMatrix::macro_recall, 500, 0.95, seed);
  };
  const Interval one = interval(1, 42), three = interval(3, 42), other = interval(1, 43);
  set_num_threads(threads);
  EXPECT_EQ(one.low, three.low);
  EXPECT_EQ(one.high, three.high);
  EXPECT_TRUE(one.low != other.low || one.high != other.high);
  EXPECT_LT(one.low, matrix.macro_recall());
  EXPECT_GT(one.high, matrix.macro_recall());
}

TEST(Intervals, TheBootstrapRefusesInvalidArguments) {
  const ConfusionMatrix matrix = matrix_of({{3, 1}, {1, 3}});
  EXPECT_THROW(bootstrap_interval(matrix, &ConfusionMatrix::accuracy, 0), ValueError);
  EXPECT_THROW(bootstrap_interval(matrix, &ConfusionMatrix::accuracy, 10, 1), ValueError);
  EXPECT_EQ(bootstrap_interval(ConfusionMatrix(2), &ConfusionMatrix::accuracy).high, 0);
}

}  // namespace
}  // namespace qing::nn
