#include <qing/nn/number_comparison.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <qing/nn/scale_metrics.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

using Numbers = std::vector<double>;

double mae_of(std::span<const double> expected, std::span<const double> predicted) {
  return mean_absolute_error(expected, predicted);
}

TEST(NumberComparison, WilcoxonsTestIsScipys) {
  // scipy.stats.wilcoxon([125, 115, 130, 140, 140, 115, 140, 125, 140, 135], [110, 122, 125, 120, 140, 124, 123, 137,
  // 135, 145]): R's example of tied differences and a zero, W = 18.
  const Numbers first = {125, 115, 130, 140, 140, 115, 140, 125, 140, 135};
  const Numbers second = {110, 122, 125, 120, 140, 124, 123, 137, 135, 145};
  EXPECT_NEAR(wilcoxon_test(first, second).p_value, 0.5936305914425295, 1e-12);
  EXPECT_NEAR(wilcoxon_test(second, first).p_value, 0.5936305914425295, 1e-12);
  // All of 5 differences on one side: 2 of 2^5 signs.
  EXPECT_NEAR(wilcoxon_test(Numbers{1, 2, 3, 4, 5}, Numbers{0, 0, 0, 0, 0}).p_value, 2.0 / 32, 1e-15);
  // Ranks 1 and 4 negative: sums of at most 5 are 0, 1, 2, 3 (twice), 4 (twice), 5 (3 times): 10 of 32.
  EXPECT_NEAR(wilcoxon_test(Numbers{-1, 2, 3, -4, 5}, Numbers{0, 0, 0, 0, 0}).p_value, 20.0 / 32, 1e-15);
  EXPECT_EQ(wilcoxon_test(first, first).p_value, 1);
  // The ranks of the positive differences are 27 of 45.
  EXPECT_EQ(wilcoxon_test(first, second).rank_difference, 27 - 18);
  EXPECT_EQ(wilcoxon_test(second, first).rank_difference, 18 - 27);
  EXPECT_EQ(wilcoxon_test(Numbers{-1, 2, 3, -4, 5}, Numbers{0, 0, 0, 0, 0}).rank_difference, 10 - 5);
  EXPECT_EQ(wilcoxon_test(first, first).rank_difference, 0);
  EXPECT_EQ(wilcoxon_test({}, {}).p_value, 1);
  EXPECT_THROW(wilcoxon_test(first, Numbers{1}), ShapeError);
  EXPECT_THROW(wilcoxon_test(Numbers{std::numeric_limits<double>::quiet_NaN()}, Numbers{1}), ValueError);
}

TEST(NumberComparison, IntervalsHoldTheMeasureAndArePaired) {
  Numbers expected, good, bad;
  for (int i = 0; i < 300; ++i) {
    expected.push_back(i % 17);
    good.push_back(expected.back() + 0.1 * (i % 5 - 2));
    bad.push_back(expected.back() + 0.5 * (i % 7 - 3));
  }
  const Interval around = bootstrap_interval(expected, bad, mae_of);
  const double mae = mean_absolute_error(expected, bad);
  // The standard error of the mean of the absolute errors, 1.96 times on each side.
  double square = 0;
  for (size_t i = 0; i < bad.size(); ++i) square += std::pow(std::abs(bad[i] - expected[i]) - mae, 2);
  const double half = 1.96 * std::sqrt(square / 299 / 300);
  EXPECT_NEAR(around.low, mae - half, 0.15 * half);
  EXPECT_NEAR(around.high, mae + half, 0.15 * half);
  const Interval none = bootstrap_difference({expected, bad, bad}, mae_of);
  EXPECT_EQ(none.low, 0) << "both get the same resample";
  EXPECT_EQ(none.high, 0);
  EXPECT_LT(bootstrap_difference({expected, bad, good}, mae_of).high, 0);
  const int threads = num_threads();
  set_num_threads(1);
  const Interval alone = bootstrap_interval(expected, bad, spearman_correlation);
  set_num_threads(4);
  const Interval together = bootstrap_interval(expected, bad, spearman_correlation);
  set_num_threads(threads);
  EXPECT_EQ(alone.low, together.low);
  EXPECT_EQ(alone.high, together.high);
  EXPECT_EQ(bootstrap_interval({}, {}, mae_of).high, 0);
  EXPECT_THROW(bootstrap_interval(expected, Numbers{1}, mae_of), ShapeError);
  EXPECT_THROW(bootstrap_interval(expected, bad, mae_of, 0), ValueError);
}

}  // namespace
}  // namespace qing::nn
