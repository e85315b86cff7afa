#include <qing/nn/text/pipeline/text_pattern.h>

#include <gtest/gtest.h>

#include <string_view>

namespace qing::nn::text {
namespace {

bool finds(const char* expression, std::u32string_view text) {
  size_t begin = 0, end = 0;
  return TextPattern::regex(expression).find(text, 0, begin, end);
}

TEST(TextPattern, ARangeStandsInsideBracketsOnly) {
  EXPECT_TRUE(finds("[a-c]", U"b"));
  EXPECT_FALSE(finds("a-c", U"b"));
  EXPECT_TRUE(finds("a-c", U"a-c"));
}

// An escaped bracket neither begins nor ends a set.
TEST(TextPattern, AnEscapedBracketIsACharacter) {
  EXPECT_TRUE(finds(R"([\]a-z])", U"m"));
  EXPECT_TRUE(finds(R"([\]a-z])", U"]"));
  EXPECT_FALSE(finds(R"([\]a-z])", U"-"));
  EXPECT_TRUE(finds(R"(\[a-z)", U"[a-z"));
  EXPECT_FALSE(finds(R"(\[a-z)", U"[m"));
}

}  // namespace
}  // namespace qing::nn::text
