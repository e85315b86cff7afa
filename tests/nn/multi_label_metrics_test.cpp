#include <qing/nn/multi_label_metrics.h>

#include <gtest/gtest.h>

#include <vector>

#include <qing/nn/scale_metrics.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

using Labels = std::vector<int32_t>;

TEST(MultiLabelCounts, FollowTheDefinitions) {
  MultiLabelCounts counts(3);
  counts.add(Labels{0, 1}, Labels{0, 1});
  counts.add(Labels{0}, Labels{0, 1});
  counts.add(Labels{}, Labels{});
  counts.add(Labels{1}, Labels{});
  EXPECT_EQ(counts.total(), 4);
  EXPECT_EQ(counts.matches(), 2);
  EXPECT_DOUBLE_EQ(counts.subset_accuracy(), 0.5);
  EXPECT_DOUBLE_EQ(counts.hamming_loss(), 2.0 / 12);
  EXPECT_DOUBLE_EQ(counts.label(0).f1, 1);
  EXPECT_DOUBLE_EQ(counts.label(1).precision, 0.5);
  EXPECT_DOUBLE_EQ(counts.label(1).recall, 0.5);
  EXPECT_DOUBLE_EQ(counts.label(2).f1, 0) << "a label of no text counts as 0";
  EXPECT_DOUBLE_EQ(counts.micro().f1, 2 * 3.0 / (4 + 4));
  EXPECT_DOUBLE_EQ(counts.macro().f1, 1.5 / 3);
  EXPECT_EQ(counts.micro().support, 4);
  EXPECT_THROW(counts.add(Labels{3}, Labels{}), IndexError);
  EXPECT_THROW(counts.add(Labels{}, Labels{-1}), IndexError);
  EXPECT_THROW(counts.label(3), IndexError);
  EXPECT_THROW(MultiLabelCounts(0), ValueError);
}

TEST(MultiLabelCounts, IntervalsDoNotDependOnThreads) {
  const Labels none, first = {0}, both = {0, 1};
  std::vector<LabelSets> examples, other;
  for (int i = 0; i < 60; ++i) {
    examples.push_back({i % 2 == 0 ? first : both, i % 3 == 0 ? none : first});
    other.push_back({i % 2 == 0 ? first : both, i % 2 == 0 ? first : both});
  }
  const auto f1 = [](const MultiLabelCounts& counts) { return counts.micro().f1; };
  const int threads = num_threads();
  set_num_threads(1);
  const Interval alone = bootstrap_interval(examples, 2, f1), difference = bootstrap_difference(examples, other, 2, f1);
  set_num_threads(2);
  const Interval together = bootstrap_interval(examples, 2, f1);
  set_num_threads(threads);
  EXPECT_EQ(alone.low, together.low);
  EXPECT_EQ(alone.high, together.high);
  EXPECT_LT(alone.low, alone.high);
  EXPECT_GT(difference.low, 0) << "the other is right everywhere";
  EXPECT_THROW(bootstrap_difference(examples, std::span(other).first(3), 2, f1), ValueError);
  EXPECT_EQ(bootstrap_interval({}, 2, f1).high, 0);
}

TEST(MultiLabelThresholds, HaveTheGreatestF1) {
  // Above 0.35 lie both examples with the label and one without: F1 is 0.8, more than anywhere else.
  const ScoredLabel scored{{0.9F, 0.6F, 0.4F, 0.3F, 0.1F}, {true, false, true, false, false}};
  EXPECT_NEAR(best_f1_threshold(scored), 0.35, 1e-6);
  EXPECT_DOUBLE_EQ(best_f1_threshold({{0.2F, 0.3F}, {false, false}}), 0.5) << "no example has the label";
  EXPECT_DOUBLE_EQ(best_f1_threshold({{0.2F, 0.3F}, {true, true}}), 0.5) << "no example lacks it";
  EXPECT_DOUBLE_EQ(best_f1_threshold({{}, {}}), 0.5);
  EXPECT_THROW(best_f1_threshold({{0.5F}, {}}), ShapeError);
}

TEST(MultiLabelThresholds, CurvesHaveAPointForEachScore) {
  const ScoredLabel scored{{0.9F, 0.6F, 0.6F, 0.1F}, {true, true, false, true}};
  const std::vector<PrecisionRecall> curve = precision_recall_curve(scored);
  ASSERT_EQ(curve.size(), 3U);
  EXPECT_FLOAT_EQ(static_cast<float>(curve.back().threshold), 0.9F);
  EXPECT_DOUBLE_EQ(curve.back().precision, 1);
  EXPECT_DOUBLE_EQ(curve[1].precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(curve[0].recall, 1);
  EXPECT_NEAR(average_precision(scored), 1.0 / 3 + 2.0 / 9 + 0.75 / 3, 1e-12);
}

TEST(ScaleMetrics, KappaAndErrorsOfOrderedLabels) {
  ConfusionMatrix matrix(3);
  for (int i = 0; i < 3; ++i) matrix.add(i, i);
  EXPECT_DOUBLE_EQ(quadratic_weighted_kappa(matrix), 1);
  matrix.add(0, 2);
  EXPECT_NEAR(quadratic_weighted_kappa(matrix), 1 - 4.0 * 4 / 26, 1e-12);
  EXPECT_DOUBLE_EQ(mean_absolute_error(matrix, std::vector<double>{1, 2, 4}), 3.0 / 4);
  EXPECT_THROW(mean_absolute_error(matrix, std::vector<double>{1, 2}), ShapeError);
  EXPECT_EQ(quadratic_weighted_kappa(ConfusionMatrix(2)), 0);
}

TEST(ScaleMetrics, CorrelationsShareRanks) {
  const std::vector<double> x = {1, 2, 2, 4}, y = {10, 30, 20, 40}, flat = {5, 5, 5, 5};
  EXPECT_NEAR(spearman_correlation(x, y), 0.9486832980505138, 1e-12);
  EXPECT_DOUBLE_EQ(pearson_correlation(x, x), 1);
  EXPECT_EQ(pearson_correlation(x, flat), 0);
  EXPECT_THROW(mean_squared_error(x, std::vector<double>{1}), ShapeError);
}

}  // namespace
}  // namespace qing::nn
