#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include <qing/nn/data/tagged_sentences.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

std::vector<TaggedSentence> read(std::string text, bool json_lines = false) {
  size_t at = 0;
  const ByteInput input = [text = std::move(text), at](std::span<char> into) mutable {
    const size_t count = std::min(into.size(), text.size() - at);
    std::copy_n(text.begin() + static_cast<std::ptrdiff_t>(at), count, into.begin());
    at += count;
    return count;
  };
  return read_tagged_sentences("file", input, json_lines, 5);
}

std::string refusal(const std::string& text, bool json_lines = false) {
  try {
    read(text, json_lines);
  } catch (const DataError& error) { return error.what(); }
  return "";
}

TEST(TaggedSentences, ColumnsAreRead) {
  const auto sentences = read("-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\r\nrejects\tO\n\n\n中国 B-LOC");
  ASSERT_EQ(sentences.size(), 2u);
  EXPECT_EQ(sentences[0].words, (std::vector<std::string>{"EU", "rejects"}));
  EXPECT_EQ(sentences[0].tags, (std::vector<std::string>{"B-ORG", "O"}));
  EXPECT_EQ(sentences[0].line, 3u);
  EXPECT_EQ(sentences[0].line_of(1), 4u);
  EXPECT_EQ(sentences[1].line_of(0), 7u);
  EXPECT_EQ(sentences[1].words, std::vector<std::string>{"中国"});
}

TEST(TaggedSentences, ObjectsAreRead) {
  const auto sentences = read(
      "{\"tokens\": [\"a b\", \"c\"], \"tags\": [\"O\", \"B-X\"]}\n\n{\"words\": [\"d\"], \"ner_tags\": [\"O\"]}\n",
      true);
  ASSERT_EQ(sentences.size(), 2u);
  EXPECT_EQ(sentences[0].words, (std::vector<std::string>{"a b", "c"}));
  EXPECT_EQ(sentences[1].line, 3u);
  EXPECT_EQ(sentences[0].line_of(1), 1u);
}

TEST(TaggedSentences, FaultsNameTheirLine) {
  EXPECT_NE(refusal("a O\nb\n").find("file:2: has a word without a tag"), std::string::npos);
  EXPECT_NE(refusal("a O\n\xff O\n").find("file:2: "), std::string::npos);
  EXPECT_NE(refusal(std::string("a\0b O\n", 6)).find("file:1: holds a NUL byte"), std::string::npos);
  EXPECT_NE(refusal("a O\na O\na O\na O\na O\na O\n").find("file:1: a sentence of more than 5 words"),
            std::string::npos);
  EXPECT_NE(refusal("\n\n").find("has no sentences"), std::string::npos);
  EXPECT_NE(refusal("{\"tokens\": [\"a\"], \"tags\": []}", true).find("1 tokens and 0 tags"), std::string::npos);
  EXPECT_NE(refusal("{\"tokens\": [1], \"tags\": [\"O\"]}", true).find("\"tokens\" has an element"), std::string::npos);
  EXPECT_NE(refusal("{\"tokens\": [\" \"], \"tags\": [\"O\"]}", true).find("blank"), std::string::npos);
  EXPECT_NE(refusal("{\"text\": \"a\"}", true).find("needs a list of texts \"tokens\""), std::string::npos);
}

}  // namespace
}  // namespace qing::nn
