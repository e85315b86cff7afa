#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <qing/nn/models/tag_scheme.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

using Tags = std::vector<std::string>;

std::vector<TagSpan> spans(const Tags& tags) { return spans_of_tags(tags); }

TEST(TagScheme, SpansAreThoseOfSeqeval) {
  EXPECT_EQ(spans({"B-PER", "I-PER", "O", "B-LOC"}), (std::vector<TagSpan>{{"PER", 0, 1}, {"LOC", 3, 3}}));
  EXPECT_EQ(spans({"I-PER", "I-LOC", "I-LOC"}), (std::vector<TagSpan>{{"PER", 0, 0}, {"LOC", 1, 2}}));
  EXPECT_EQ(spans({"B-PER", "B-PER"}), (std::vector<TagSpan>{{"PER", 0, 0}, {"PER", 1, 1}}));
  EXPECT_EQ(spans({"S-A", "B-A", "E-A", "E-A"}), (std::vector<TagSpan>{{"A", 0, 0}, {"A", 1, 2}, {"A", 3, 3}}));
  EXPECT_EQ(spans({"B-X-Y", "I-X-Y"}), (std::vector<TagSpan>{{"X-Y", 0, 1}}));
  EXPECT_EQ(spans({}), std::vector<TagSpan>{});
  EXPECT_EQ(spans({"O", "O"}), std::vector<TagSpan>{});
}

TEST(TagScheme, OtherNamesOfPrefixesAreRead) {
  EXPECT_EQ(normal_tag("U-PER"), "S-PER");
  EXPECT_EQ(normal_tag("L-PER"), "E-PER");
  EXPECT_EQ(normal_tag("M-PER"), "I-PER");
  EXPECT_EQ(normal_tag("O"), "O");
  for (const char* wrong : {"", "PER", "B-", "B", "X-PER", "b-PER", "NOUN"}) {
    EXPECT_THROW(normal_tag(wrong), ValueError) << wrong;
  }
}

TEST(TagScheme, BestSequenceIsOneThatTheRulesAllow) {
  const std::vector<std::string> types = {"A", "B"};
  const TagScheme bio = TagScheme::of_types(types, false);
  ASSERT_EQ(bio.labels(), (Tags{"O", "B-A", "I-A", "B-B", "I-B"}));
  // I-B alone would be best for both words, and it needs B-B in front.
  EXPECT_EQ(bio.best(std::vector<float>{-2, -9, -9, -3, -1, -4, -9, -9, -3, -1}), (std::vector<std::int32_t>{3, 4}));
  // A word alone cannot be I-A.
  EXPECT_EQ(bio.best(std::vector<float>{-3, -2, -1, -9, -9}), std::vector<std::int32_t>{1});
  EXPECT_EQ(bio.best({}), std::vector<std::int32_t>{});

  const TagScheme bioes = TagScheme::of_types(std::vector<std::string>{"A"}, true);
  ASSERT_EQ(bioes.labels(), (Tags{"O", "B-A", "I-A", "E-A", "S-A"}));
  // B-A must be closed by E-A.
  EXPECT_EQ(bioes.best(std::vector<float>{-5, 0, -5, -5, -5, 0, -5, -5, -2, -5}), (std::vector<std::int32_t>{1, 3}));
  EXPECT_FALSE(bioes.may_end(1));
  EXPECT_FALSE(bioes.may_begin(3));
}

// Of all paths by their rules, the one with the greatest sum.
TEST(TagScheme, BestSequenceIsThatOfAllTransitions) {
  std::vector<std::string> types;
  for (int i = 0; i < 40; ++i) types.push_back(std::to_string(i));
  for (const TagScheme& scheme :
       {TagScheme::of_types(types, false), TagScheme::of_types(types, true), TagScheme({"I-A", "O", "I-B", "B-B"})}) {
    const size_t width = scheme.labels().size(), count = 60;
    std::vector<float> scores(count * width);
    std::uint32_t state = 7;
    // Whole numbers, so that sums are often equal.
    for (float& score : scores) score = -static_cast<float>((state = state * 1664525 + 1013904223) >> 30);
    std::vector<std::vector<double>> sums(count, std::vector<double>(width, -1e300));
    std::vector<std::vector<std::int32_t>> from(count, std::vector<std::int32_t>(width));
    for (size_t label = 0; label < width; ++label) {
      if (scheme.may_begin(label)) sums[0][label] = scores[label];
    }
    for (size_t i = 1; i < count; ++i) {
      for (size_t after = 0; after < width; ++after) {
        for (size_t before = 0; before < width; ++before) {
          const double sum = sums[i - 1][before] + scores[i * width + after];
          if (!scheme.may_follow(before, after) || sum <= sums[i][after]) continue;
          sums[i][after] = sum;
          from[i][after] = static_cast<std::int32_t>(before);
        }
      }
    }
    std::vector<std::int32_t> expected(count);
    double greatest = -1e300;
    for (size_t label = 0; label < width; ++label) {
      if (!scheme.may_end(label) || sums[count - 1][label] <= greatest) continue;
      greatest = sums[count - 1][label];
      expected[count - 1] = static_cast<std::int32_t>(label);
    }
    for (size_t i = count - 1; i > 0; --i) expected[i - 1] = from[i][static_cast<size_t>(expected[i])];
    EXPECT_EQ(scheme.best(scores), expected);
  }
}

TEST(TagScheme, TooManyLabelsAreRefused) {
  std::vector<std::string> types;
  for (size_t i = 0; i < (TagScheme::kMostLabels - 1) / 2; ++i) types.push_back(std::to_string(i));
  EXPECT_EQ(TagScheme::of_types(types, false).labels().size(), TagScheme::kMostLabels - 1);
  types.emplace_back("one more");
  EXPECT_THROW(TagScheme::of_types(types, false), ValueError);
  EXPECT_THROW(TagScheme(std::vector<std::string>(100'000, "B-A")), ValueError);
}

TEST(TagScheme, EverySequenceOfThreeIsJudgedAsThePaths) {
  for (const bool ends : {false, true}) {
    const TagScheme scheme = TagScheme::of_types(std::vector<std::string>{"A", "B"}, ends);
    const auto count = static_cast<std::int32_t>(scheme.labels().size());
    for (std::int32_t a = 0; a < count; ++a) {
      for (std::int32_t b = 0; b < count; ++b) {
        for (std::int32_t c = 0; c < count; ++c) {
          const std::vector<std::int32_t> labels = {a, b, c};
          const bool allowed =
              scheme.may_begin(a) && scheme.may_follow(a, b) && scheme.may_follow(b, c) && scheme.may_end(c);
          // What the rules allow is what the entities say again.
          EXPECT_EQ(allowed, scheme.encode(scheme.spans(labels), 3) == labels) << a << " " << b << " " << c;
        }
      }
    }
  }
}

TEST(TagScheme, LabelsWithoutABeginningAreTaken) {
  const TagScheme scheme({"O", "I-PER"});  // as dbmdz's models of CoNLL-2003
  EXPECT_TRUE(scheme.may_begin(1));
  EXPECT_EQ(scheme.encode(std::vector<TagSpan>{{"PER", 1, 2}}, 3), (std::vector<std::int32_t>{0, 1, 1}));
  EXPECT_THROW(TagScheme({"O", "NOUN"}), ValueError);
}

}  // namespace
}  // namespace qing::nn
