#include <qing/nn/data/similar_labels.h>

#include <gtest/gtest.h>

namespace qing::nn {
namespace {

using Counts = std::map<std::string, int64_t>;

TEST(SimilarLabels, OfOrderedLabelsEqualNumbersAreOne) {
  const std::vector<std::string> labels = {"1", "2.5", "high"};
  EXPECT_EQ(place_of_label(labels, "1.0", Problem::ordinal), 0U);
  EXPECT_EQ(place_of_label(labels, "2.50", Problem::ordinal), 1U);
  EXPECT_EQ(place_of_label(labels, "high", Problem::ordinal), 2U);
  EXPECT_FALSE(place_of_label(labels, "3", Problem::ordinal));
  EXPECT_FALSE(place_of_label(labels, "low", Problem::ordinal));
  EXPECT_FALSE(place_of_label(labels, "1.0", Problem::single_label)) << "only labels with an order are numbers";
  EXPECT_EQ(join_equal_numbers({{"1", 3}, {"1.0", 4}, {"2.0", 5}, {"x", 6}}), (Counts{{"1", 7}, {"2.0", 5}, {"x", 6}}));
}

TEST(SimilarLabels, WhatIsProbablyOneLabelIsTold) {
  const std::vector<std::string> doubts =
      doubtful_labels({{"1", 3}, {"1.0", 4}, {"2", 5}, {"NEG", 2}, {"neg", 9}, {"pos", 4}, {"pos ", 1}, {"nan", 1}});
  ASSERT_EQ(doubts.size(), 4U);
  EXPECT_EQ(
      doubts[0],
      "the labels '1' (3 rows), '1.0' (4 rows) are the same number and are learned as 2 labels; join them with --map "
      "1.0=1");
  EXPECT_EQ(doubts[1],
            "the labels 'NEG' (2 rows), 'neg' (9 rows) differ only in capital letters or blanks and are learned as 2 "
            "labels; join them with --map NEG=neg");
  EXPECT_NE(doubts[2].find("--map 'pos =pos'"), std::string::npos) << doubts[2];
  EXPECT_NE(doubts[3].find("the label 'nan' of 1 row is what programs write for a missing value"), std::string::npos);
  const std::vector<std::string> inside =
      doubtful_labels({{"very good", 5}, {"very  good", 1}, {"Very\u00A0Good", 1}, {"好 评", 1}, {"好评", 3}});
  ASSERT_EQ(inside.size(), 2U);
  EXPECT_NE(inside[0].find("are learned as 3 labels; join them with --map 'Very\u00A0Good,very  good=very good'"),
            std::string::npos)
      << inside[0];
  EXPECT_NE(inside[1].find("'好 评' (1 row), '好评' (3 rows)"), std::string::npos) << inside[1];
  EXPECT_TRUE(doubtful_labels({{"1", 3}, {"2", 4}, {"negative", 2}, {"none", 2}}).empty());
}

}  // namespace
}  // namespace qing::nn
