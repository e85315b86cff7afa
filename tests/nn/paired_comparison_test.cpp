#include <qing/nn/paired_comparison.h>

#include <gtest/gtest.h>

#include <cmath>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

std::vector<PairedOutcome> outcomes(int both, int only_first, int only_second, int none) {
  std::vector<PairedOutcome> all;
  for (int i = 0; i < both; ++i) all.push_back({i % 2, i % 2, i % 2});
  for (int i = 0; i < only_first; ++i) all.push_back({i % 2, i % 2, 1 - i % 2});
  for (int i = 0; i < only_second; ++i) all.push_back({i % 2, 1 - i % 2, i % 2});
  for (int i = 0; i < none; ++i) all.push_back({i % 2, 1 - i % 2, 1 - i % 2});
  return all;
}

TEST(PairedComparison, McNemarsTestIsTheBinomialTest) {
  EXPECT_EQ(mcnemar_p_value({0, 0}), 1);
  EXPECT_EQ(mcnemar_p_value({5, 5}), 1);
  EXPECT_NEAR(mcnemar_p_value({0, 5}), 2.0 / 32, 1e-12);         // both tails of 2^-5
  EXPECT_NEAR(mcnemar_p_value({1, 9}), 2 * 11.0 / 1024, 1e-12);  // 1 + 10 of 2^10
  EXPECT_NEAR(mcnemar_p_value({9, 1}), 2 * 11.0 / 1024, 1e-12);
  // Far out, where 2^-n is no double, the normal distribution is close: (b - c)^2 / (b + c), with continuity
  // correction.
  const double z = (2100.0 - 1900 - 1) / std::sqrt(4000.0);
  EXPECT_NEAR(mcnemar_p_value({1900, 2100}), std::erfc(z / std::sqrt(2.0)), 2e-5);
  EXPECT_THROW(mcnemar_p_value({-1, 2}), ValueError);
}

TEST(PairedComparison, TheCorrectedTestIsEdwardsChiSquare) {
  EXPECT_EQ(corrected_mcnemar_p_value({0, 0}), 1);
  EXPECT_EQ(corrected_mcnemar_p_value({5, 5}), 1);
  EXPECT_EQ(corrected_mcnemar_p_value({5, 6}), 1) << "the correction takes the difference of 1";
  // (|25 - 10| - 1)^2 / 35 = 5.6, with one degree of freedom.
  EXPECT_NEAR(corrected_mcnemar_p_value({25, 10}), 0.017960, 1e-6);
  EXPECT_NEAR(corrected_mcnemar_p_value({10, 25}), mcnemar_p_value({10, 25}), 2e-3);
  EXPECT_THROW(corrected_mcnemar_p_value({-1, 2}), ValueError);
}

TEST(PairedComparison, CountsWhatOnlyOneGotRight) {
  const Discordant counts = discordant(outcomes(50, 7, 3, 10));
  EXPECT_EQ(counts.only_first, 7);
  EXPECT_EQ(counts.only_second, 3);
}

TEST(PairedComparison, TheIntervalOfTheDifferenceHoldsItAndIsPaired) {
  const auto same = outcomes(200, 0, 0, 100);
  const Interval none = bootstrap_difference(same, 2, &ConfusionMatrix::accuracy);
  EXPECT_EQ(none.low, 0) << "both get the same resample";
  EXPECT_EQ(none.high, 0);
  const auto worse = outcomes(200, 60, 20, 20);
  const Interval below = bootstrap_difference(worse, 2, &ConfusionMatrix::accuracy, 2000);
  // The standard error of a paired difference: sqrt(b + c - (b - c)^2 / n) / n.
  const double error = std::sqrt(80 - 1600.0 / 300) / 300, middle = -40.0 / 300;
  EXPECT_NEAR(below.low, middle - 1.96 * error, 0.01);
  EXPECT_NEAR(below.high, middle + 1.96 * error, 0.01);
  EXPECT_LT(below.high, 0);
}

TEST(PairedComparison, TheIntervalDependsOnItsSeedAlone) {
  const auto some = outcomes(40, 9, 6, 5);
  const int threads = num_threads();
  const auto interval = [&](int with) {
    set_num_threads(with);
    return bootstrap_difference(some, 2, &ConfusionMatrix::macro_recall, 300);
  };
  const Interval one = interval(1), several = interval(3);
  set_num_threads(threads);
  EXPECT_EQ(one.low, several.low);
  EXPECT_EQ(one.high, several.high);
  EXPECT_THROW(bootstrap_difference(some, 1, &ConfusionMatrix::accuracy), IndexError);
  EXPECT_THROW(bootstrap_difference(some, 2, &ConfusionMatrix::accuracy, 0), ValueError);
  EXPECT_EQ(bootstrap_difference({}, 2, &ConfusionMatrix::accuracy).high, 0);
}

}  // namespace
}  // namespace qing::nn
