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
