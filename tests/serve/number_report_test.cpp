// The words of a comparison of two models of numbers.
#include <gtest/gtest.h>

#include <string>

#include <qing/serve/reports/number_comparison.h>

namespace qing::serve::cli {
namespace {

// A is closer on 21 texts by little, and B on 19 by more: Wilcoxon's ranks are 231 against 589, p = 0.016.
TEST(NumberReport, TheWinnerIsThatOfTheTest) {
  NumberEvaluation a, b;
  for (int i = 1; i <= 40; ++i) {
    const bool first_is_closer = i <= 21;
    const double error = first_is_closer ? 0.001 * i : i;
    a.expected.push_back(0);
    a.predicted.push_back(first_is_closer ? 0 : error);
    b.predicted.push_back(first_is_closer ? error : 0);
    a.sources.emplace_back();
  }
  b.expected = a.expected;
  b.sources = a.sources;
  const NumberComparison comparison = compare(a, b);
  EXPECT_EQ(comparison.closer_first, 21);
  EXPECT_EQ(comparison.closer_second, 19);
  EXPECT_LT(comparison.test.p_value, 0.05);
  EXPECT_EQ(comparison.test.rank_difference, 589 - 231);
  const std::string text = to_text(comparison, "a", "b");
  EXPECT_NE(text.find("B has the smaller absolute errors."), std::string::npos) << text;
  const std::string turned = to_text(compare(b, a), "b", "a");
  EXPECT_NE(turned.find("A has the smaller absolute errors."), std::string::npos) << turned;
}

}  // namespace
}  // namespace qing::serve::cli
