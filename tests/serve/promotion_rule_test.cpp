// The rule by which a version may replace another.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include <qing/serve/maintenance/version_comparison.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

const std::vector<std::string> kLabels{"negative", "neutral", "positive"};

// Texts of one source: how many both versions get right, only the older, only the newer, none.
void add_texts(std::vector<JudgedText>& texts, const std::string& source, int both, int before, int after, int none) {
  const auto add = [&](int count, bool old_right, bool new_right) {
    for (int i = 0; i < count; ++i) {
      const int label = i % 3, other = (label + 1) % 3;
      texts.push_back({label, old_right ? label : other, new_right ? label : other, 0.9F,
                       static_cast<std::int64_t>(texts.size() + 1), source, source == "zh" ? "chinese" : "latin"});
    }
  };
  add(both, true, true);
  add(before, true, false);
  add(after, false, true);
  add(none, false, false);
}

std::vector<std::string> reasons(const std::vector<JudgedText>& texts) {
  return reasons_against(compare_versions(texts, kLabels));
}

TEST(PromotionRule, ABetterOrEqualVersionPasses) {
  std::vector<JudgedText> texts;
  add_texts(texts, "en", 200, 10, 30, 20);
  EXPECT_TRUE(reasons(texts).empty());
  texts.clear();
  add_texts(texts, "en", 200, 0, 0, 60);
  EXPECT_TRUE(reasons(texts).empty());
}

TEST(PromotionRule, AWorseVersionWithinChancePasses) {
  std::vector<JudgedText> texts;
  add_texts(texts, "en", 200, 14, 10, 20);
  EXPECT_TRUE(reasons(texts).empty());
}

TEST(PromotionRule, AWorseVersionBeyondChanceIsRefused) {
  std::vector<JudgedText> texts;
  add_texts(texts, "en", 200, 40, 10, 20);
  const auto against = reasons(texts);
  ASSERT_GE(against.size(), 2U);
  EXPECT_EQ(against[0].find("all texts: accuracy"), 0U) << against[0];
  EXPECT_EQ(against[1].find("all texts: macro-recall"), 0U) << against[1];
}

TEST(PromotionRule, AVersionThatIsWorseOnOneSourceAloneIsRefused) {
  std::vector<JudgedText> texts;
  add_texts(texts, "en", 200, 0, 30, 20);
  add_texts(texts, "zh", 60, 20, 2, 10);
  const VersionComparison comparison = compare_versions(texts, kLabels);
  EXPECT_GT(comparison.all.accuracy.after, comparison.all.accuracy.before);
  const auto against = reasons_against(comparison);
  ASSERT_EQ(against.size(), 2U);
  EXPECT_EQ(against[0].find("source zh"), 0U);
  EXPECT_EQ(against[1].find("language chinese"), 0U);
}

// Both versions are right as often, and the newer one is wrong by more.
TEST(PromotionRule, OrderedLabelsAreJudgedByTheirDistance) {
  const std::vector<std::string> stars{"1", "2", "3", "4", "5"};
  std::vector<JudgedText> texts;
  for (int i = 0; i < 300; ++i) {
    const int label = i % 5, near = label == 4 ? 3 : label + 1, far = label < 2 ? 4 : 0;
    const bool right = i % 3 != 0;
    texts.push_back({label, right ? label : near, right ? label : far, 0.9F, i + 1, "en", "latin"});
    texts.back().before_value = 1.0 + texts.back().before;
    texts.back().after_value = 1.0 + texts.back().after;
  }
  EXPECT_TRUE(reasons_against(compare_versions(texts, stars)).empty()) << "as single labels they are equal";
  const VersionComparison comparison = compare_versions(texts, stars, nn::Problem::ordinal);
  const auto against = reasons_against(comparison);
  ASSERT_EQ(against.size(), 2U);
  EXPECT_EQ(against[0].find("all texts: quadratic weighted kappa"), 0U) << against[0];
  EXPECT_EQ(against[1].find("all texts: MAE of expected value"), 0U) << against[1];
  EXPECT_NE(to_json(comparison, stars).find(R"("ordinal")"), std::string::npos);
  for (JudgedText& text : texts) {
    std::swap(text.before, text.after);
    std::swap(text.before_value, text.after_value);
  }
  EXPECT_TRUE(reasons_against(compare_versions(texts, stars, nn::Problem::ordinal)).empty());
}

TEST(PromotionRule, ThreeTextsAreTooFewToRefuse) {
  std::vector<JudgedText> texts;
  add_texts(texts, "en", 200, 0, 30, 20);
  add_texts(texts, "zh", 0, 3, 0, 0);
  EXPECT_TRUE(reasons(texts).empty());
}

TEST(PromotionRule, TheComparisonHasLabelsAndTheWorstErrorsByRow) {
  std::vector<JudgedText> texts;
  add_texts(texts, "en", 6, 1, 0, 0);
  texts.push_back({0, 0, 1, 0.99F, 8, "en", "latin"});
  const VersionComparison comparison = compare_versions(texts, kLabels);
  ASSERT_EQ(comparison.per_label.size(), 3U);
  EXPECT_EQ(comparison.per_label[0].name, "negative");
  EXPECT_EQ(comparison.per_label[0].accuracy.before, 1);
  EXPECT_EQ(comparison.per_label[0].accuracy.after, 0.5);
  ASSERT_EQ(comparison.worst.size(), 2U);
  EXPECT_EQ(comparison.worst[0].row, 8);
  const std::string json = to_json(comparison, kLabels);
  EXPECT_NE(json.find(R"("worst_errors":[{"row":8,"label":"negative","predicted":"neutral","score":0.99)"),
            std::string::npos)
      << json;
  EXPECT_THROW(compare_versions({}, kLabels), ValueError);
}

}  // namespace
}  // namespace qing::serve
