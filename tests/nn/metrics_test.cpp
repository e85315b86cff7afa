#include <qing/nn/metrics.h>

#include <gtest/gtest.h>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

// The rows are the expected labels: {5, 1, 0}, {2, 3, 0}, {0, 0, 4}.
ConfusionMatrix sample() {
  ConfusionMatrix matrix(3);
  const int counts[3][3] = {{5, 1, 0}, {2, 3, 0}, {0, 0, 4}};
  for (int expected = 0; expected < 3; ++expected) {
    for (int predicted = 0; predicted < 3; ++predicted) {
      for (int i = 0; i < counts[expected][predicted]; ++i) matrix.add(expected, predicted);
    }
  }
  return matrix;
}

TEST(ConfusionMatrix, FollowsTheDefinitions) {
  const ConfusionMatrix matrix = sample();
  EXPECT_EQ(matrix.total(), 15);
  EXPECT_EQ(matrix.count(1, 0), 2);
  EXPECT_DOUBLE_EQ(matrix.accuracy(), 12.0 / 15);
  const LabelMetrics first = matrix.label(0);
  EXPECT_EQ(first.support, 6);
  EXPECT_DOUBLE_EQ(first.precision, 5.0 / 7);
  EXPECT_DOUBLE_EQ(first.recall, 5.0 / 6);
  EXPECT_DOUBLE_EQ(first.f1, 10.0 / 13);
  EXPECT_DOUBLE_EQ(matrix.macro_recall(), (5.0 / 6 + 3.0 / 5 + 1) / 3);
  EXPECT_DOUBLE_EQ(matrix.macro_f1(), (10.0 / 13 + 6.0 / 9 + 1) / 3);
}

TEST(ConfusionMatrix, IsZeroWithoutExamples) {
  const ConfusionMatrix matrix(2);
  EXPECT_EQ(matrix.accuracy(), 0);
  EXPECT_EQ(matrix.macro_recall(), 0);
  EXPECT_EQ(matrix.macro_f1(), 0);
  EXPECT_EQ(matrix.label(1).precision, 0);
}

TEST(ConfusionMatrix, AveragesOnlyLabelsThatOccur) {
  ConfusionMatrix matrix(3);
  matrix.add(0, 0);
  matrix.add(2, 1);
  EXPECT_DOUBLE_EQ(matrix.macro_recall(), 0.5);
  EXPECT_EQ(matrix.label(1).support, 0);
}

TEST(ConfusionMatrix, RefusesInvalidLabels) {
  ConfusionMatrix matrix(2);
  EXPECT_THROW(matrix.add(2, 0), IndexError);
  EXPECT_THROW(matrix.add(0, -1), IndexError);
  EXPECT_EQ(matrix.total(), 0);
  EXPECT_THROW(ConfusionMatrix(0), ValueError);
}

}  // namespace
}  // namespace qing::nn
