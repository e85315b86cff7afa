#include <qing/nn/text/tokenizer.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <iterator>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/text/utf8.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;

std::vector<std::string> with_specials(std::initializer_list<const char*> pieces) {
  std::vector<std::string> vocabulary(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  vocabulary.insert(vocabulary.end(), pieces.begin(), pieces.end());
  return vocabulary;
}

std::vector<std::string> tokens_of(const Tokenizer& t, std::string_view text) {
  std::vector<std::string> tokens;
  for (const int32_t id : t.encode(text).ids) tokens.push_back(t.token(id));
  return tokens;
}

using Tokens = std::vector<std::string>;

TEST(Tokenizer, TakesTheLongestPieceFirst) {
  const Tokenizer t(with_specials({"un", "##aff", "##able", "unaff", "!", "好", "##b", "a"}));
  EXPECT_EQ(tokens_of(t, "Unaffable!"), (Tokens{"[CLS]", "unaff", "##able", "!", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, "ab 好好"), (Tokens{"[CLS]", "a", "##b", "好", "好", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, "unaffx a"), (Tokens{"[CLS]", "[UNK]", "a", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, ""), (Tokens{"[CLS]", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, " \t\n"), (Tokens{"[CLS]", "[SEP]"}));
}

TEST(Tokenizer, StripsAccentsAndCaseAndSetsChineseApart) {
  const Tokenizer t(with_specials({"cafe", "电", "影", "i"}));
  EXPECT_EQ(tokens_of(t, "CAFÉ电影"), (Tokens{"[CLS]", "cafe", "电", "影", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, "cafe\xCC\x81"), (Tokens{"[CLS]", "cafe", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, "İ"), (Tokens{"[CLS]", "i", "[SEP]"}));
  const Tokenizer cased(with_specials({"Cafe", "cafe"}), {.lowercase = false});
  EXPECT_EQ(tokens_of(cased, "Cafe CAFE"), (Tokens{"[CLS]", "Cafe", "[UNK]", "[SEP]"}));
}

TEST(Tokenizer, SpecialTokensInTheTextAreSpecial) {
  const Tokenizer t(with_specials({"a", "b", "[", "]", "sep"}));
  EXPECT_EQ(tokens_of(t, "a[SEP]b"), (Tokens{"[CLS]", "a", "[SEP]", "b", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, "[sep]"), (Tokens{"[CLS]", "[", "sep", "]", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, "[[MASK]"), (Tokens{"[CLS]", "[", "[MASK]", "[SEP]"}));
}

TEST(Tokenizer, OffsetsPointIntoTheOriginalText) {
  const Tokenizer t(with_specials({"cafe", "##s", "电", "!"}));
  const std::string text = " Caf\xC3\xA9s电!";
  const Encoding e = t.encode(text);
  Tokens parts;
  for (const auto& [begin, end] : e.offsets) parts.push_back(text.substr(begin, end - begin));
  EXPECT_EQ(parts, (Tokens{"", "Caf\xC3\xA9", "s", "电", "!", ""}));
}

TEST(Tokenizer, CutsAtTheMaximum) {
  const Tokenizer t(with_specials({"a"}), {.max_length = 5});
  EXPECT_FALSE(t.encode("a a a").truncated);
  EXPECT_TRUE(t.encode("a a a a").truncated);
  EXPECT_EQ(tokens_of(t, "a a a a a"), (Tokens{"[CLS]", "a", "a", "a", "[SEP]"}));
}

TEST(Tokenizer, AWordOfMoreThanAHundredCharactersIsUnknown) {
  const Tokenizer t(with_specials({"a", "##a"}), {.max_length = 200});
  EXPECT_EQ(t.encode(std::string(100, 'a')).ids.size(), 102u);
  EXPECT_EQ(tokens_of(t, std::string(101, 'a')), (Tokens{"[CLS]", "[UNK]", "[SEP]"}));
}

TEST(Tokenizer, RefusesWhatIsNotUtf8AndNamesTheByte) {
  const Tokenizer t(with_specials({"a"}));
  for (const char* bad : {"ab\xff", "ab\xC0\xAF", "ab\xED\xA0\x80", "ab\xF5\x80\x80\x80", "ab\xE4\xBD", "ab\x80"}) {
    EXPECT_NE(message_of<DataError>([&] { t.encode(bad); }).find("byte 2"), std::string::npos) << bad;
  }
}

TEST(Tokenizer, RefusesABadVocabulary) {
  EXPECT_NE(message_of<ValueError>([] { Tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]"}); }).find("[MASK]"),
            std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { Tokenizer(with_specials({"a", "b", "a"})); }).find("'a' stands twice"),
            std::string::npos);
  EXPECT_THROW(Tokenizer(with_specials({}), {.max_length = 1}), ValueError);
  const Tokenizer t(with_specials({"a"}));
  EXPECT_THROW(t.token(-1), IndexError);
  EXPECT_THROW(t.token(6), IndexError);
  EXPECT_EQ(t.id("nothing"), t.unk_id());
}

TEST(Tokenizer, SavesAndLoads) {
  const test::TempFolder folder;
  const Tokenizer t(with_specials({"a", "##b", "\"quote", "电"}), {.lowercase = false, .max_length = 77});
  t.save(folder.path());
  const Tokenizer back = Tokenizer::load(folder.path());
  EXPECT_EQ(back.vocab_size(), t.vocab_size());
  EXPECT_EQ(back.options().max_length, 77);
  EXPECT_FALSE(back.options().lowercase);
  EXPECT_EQ(back.encode("ab 电").ids, t.encode("ab 电").ids);
}

TEST(Tokenizer, LoadingNamesTheFileThatIsWrong) {
  const test::TempFolder folder;
  EXPECT_NE(message_of<IoError>([&] { Tokenizer::load(folder.path()); }).find("vocab.txt"), std::string::npos);
  folder.write("vocab.txt", "[PAD]\n[UNK]\n");
  EXPECT_NE(message_of<DataError>([&] { Tokenizer::load(folder.path()); }).find("vocab.txt"), std::string::npos);
  folder.write("vocab.txt", "[PAD]\n\xff\n");
  EXPECT_NE(message_of<DataError>([&] { Tokenizer::load(folder.path()); }).find("UTF-8"), std::string::npos);
  folder.write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\n");
  EXPECT_EQ(Tokenizer::load(folder.path()).vocab_size(), 5);
  for (const char* bad : {"{", "[]", "{\"do_lower_case\": 3}", "{\"model_max_length\": 1}"}) {
    folder.write("tokenizer_config.json", bad);
    EXPECT_NE(message_of<DataError>([&] { Tokenizer::load(folder.path()); }).find("tokenizer_config.json"),
              std::string::npos);
  }
}

// Arbitrary text over characters that exercise every branch.
std::string any_text() {
  static const std::u32string alphabet = U"aZ9 .[]#\t\né\u0301电影İ한👍\u200b\u3000ßΣ";
  const auto length = *rc::gen::inRange(0, 40);
  std::string text;
  for (int i = 0; i < length; ++i) append_utf8(text, alphabet[*rc::gen::inRange<size_t>(0, alphabet.size())]);
  return text;
}

TEST(TokenizerProperty, OffsetsRiseAndStayInsideTheText) {
  const Tokenizer t(with_specials({"a", "z", "##z", "9", "e", ".", "#", "[", "]", "电", "影"}));
  EXPECT_TRUE(rc::check([&] {
    const std::string text = any_text();
    const Encoding e = t.encode(text);
    RC_ASSERT(e.ids.size() == e.offsets.size());
    RC_ASSERT(e.ids.front() == t.cls_id());
    RC_ASSERT(e.ids.back() == t.sep_id());
    uint32_t last = 0;
    for (size_t i = 1; i + 1 < e.ids.size(); ++i) {
      const auto [begin, end] = e.offsets[i];
      RC_ASSERT(begin >= last);
      RC_ASSERT(begin < end);
      RC_ASSERT(end <= text.size());
      last = begin;
    }
  }));
}

TEST(Utf8Property, AppendAndDecodeAreInverse) {
  EXPECT_TRUE(rc::check([] {
    auto c = static_cast<char32_t>(*rc::gen::inRange(0, 0x110000));
    if (c >= 0xD800 && c < 0xE000) c = 0x20AC;
    std::string text;
    append_utf8(text, c);
    size_t position = 0;
    RC_ASSERT(decode_utf8(text, position) == c);
    RC_ASSERT(position == text.size());
  }));
}

TEST(WordPieceTraining, MergesTheMostFrequentPairs) {
  const std::vector<std::string> texts(10, "low lower lowest newer wider");
  const auto vocabulary = train_wordpiece(texts, 40);
  const auto has = [&](const char* piece) {
    return std::find(vocabulary.begin(), vocabulary.end(), piece) != vocabulary.end();
  };
  EXPECT_TRUE(has("low"));
  EXPECT_TRUE(has("##er"));
  EXPECT_TRUE(std::equal(std::begin(kSpecialTokens), std::end(kSpecialTokens), vocabulary.begin()));
  EXPECT_LE(vocabulary.size(), 40u);
}

TEST(WordPieceTraining, EverythingItWasTrainedOnCanBeSpelled) {
  const std::vector<std::string> texts = {"alpha beta gamma", "alpha delta", "gamma 电影 好看", "beta 电影", "delta 好看"};
  const Tokenizer t(train_wordpiece(texts, 200));
  for (const std::string& text : texts) {
    for (const int32_t id : t.encode(text).ids) EXPECT_NE(id, t.unk_id()) << text;
  }
}

TEST(WordPieceTraining, IsDeterministicAndBounded) {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back("word" + std::to_string(i * 7919 % 100) + " some 词" + std::to_string(i));
  const auto first = train_wordpiece(texts, 60);
  std::reverse(texts.begin(), texts.end());
  EXPECT_EQ(train_wordpiece(texts, 60), first);
  EXPECT_LE(first.size(), 60u);
  EXPECT_NO_THROW(Tokenizer{train_wordpiece(texts, 8)});
  EXPECT_THROW(train_wordpiece(texts, 5), ValueError);
}

TEST(WordPieceTraining, RareCharactersAreLeftOut) {
  const Tokenizer t(train_wordpiece(std::vector<std::string>{"aa aa", "z"}, 100));
  EXPECT_EQ(tokens_of(t, "z"), (Tokens{"[CLS]", "[UNK]", "[SEP]"}));
}

}  // namespace
}  // namespace qing::nn
