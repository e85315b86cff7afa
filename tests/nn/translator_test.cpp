#include <qing/nn/models/translator.h>

#include <gtest/gtest.h>

#include <qing/nn/models/sentence_ends.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

// Each byte is a token.
std::vector<std::pair<uint32_t, uint32_t>> bytes_of(std::string_view text) {
  std::vector<std::pair<uint32_t, uint32_t>> offsets;
  for (uint32_t i = 0; i < text.size(); ++i) offsets.emplace_back(i, i + 1);
  return offsets;
}

std::string_view first_part(std::string_view text, size_t most) {
  return text.substr(0, place_to_cut(text, bytes_of(text), most));
}

TEST(SentenceEnds, AreBehindTheLastSentenceThatFits) {
  EXPECT_EQ(first_part("One two. Three four. Five six.", 25), "One two. Three four.");
  EXPECT_EQ(first_part("He said \"no!\" Then he left the house.", 20), "He said \"no!\"");
  EXPECT_EQ(first_part("Version 3.14 is out now", 20), "Version 3.14 is out") << "a point within a number";
  EXPECT_EQ(first_part("你好。世界真大！再见。", 22), "你好。");
  EXPECT_EQ(first_part("你好。世界真大！再见。", 24), "你好。世界真大！");
  EXPECT_EQ(first_part("他说：“走吧。”然后就走了很远。", 27), "他说：“走吧。”");
}

TEST(SentenceEnds, AreElseBetweenWordsOrCharacters) {
  EXPECT_EQ(first_part("one two three four", 12), "one two");
  EXPECT_EQ(first_part("abcdefgh", 5), "abcde");
  EXPECT_EQ(first_part("世界世界", 7), "世界") << "not within a character";
}

TEST(SentenceEnds, SpacesStandBetweenSentencesOfWesternScripts) {
  EXPECT_TRUE(are_spaced("One.", "Two"));
  EXPECT_FALSE(are_spaced("你好。", "世界"));
  EXPECT_FALSE(are_spaced("你好。", "Two"));
  EXPECT_FALSE(are_spaced("", "Two"));
  EXPECT_FALSE(are_spaced("One.", ""));
  const auto [end, begin] = without_white_space("one  two", 4);
  EXPECT_EQ(end, 3U);
  EXPECT_EQ(begin, 5U);
}

}  // namespace
}  // namespace qing::nn
