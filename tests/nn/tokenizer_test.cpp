#include <qing/nn/text/bpe_trainer.h>
#include <qing/nn/text/tokenizer.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <optional>
#include <stdexcept>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/text/pipeline/json_numbers.h>
#include <qing/nn/utf8.h>
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

TEST(Tokenizer, StripsAccentsAndCaseAndSeparatesChineseCharacters) {
  const Tokenizer t(with_specials({"cafe", "电", "影", "i"}));
  EXPECT_EQ(tokens_of(t, "CAFÉ电影"), (Tokens{"[CLS]", "cafe", "电", "影", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, "cafe\xCC\x81"), (Tokens{"[CLS]", "cafe", "[SEP]"}));
  EXPECT_EQ(tokens_of(t, "İ"), (Tokens{"[CLS]", "i", "[SEP]"}));
  const Tokenizer cased(with_specials({"Cafe", "cafe"}), {.lowercase = false});
  EXPECT_EQ(tokens_of(cased, "Cafe CAFE"), (Tokens{"[CLS]", "Cafe", "[UNK]", "[SEP]"}));
}

TEST(Tokenizer, AccentsAndChineseAreHandledAsTheOptionsSay) {
  const auto vocabulary = [] {
    return with_specials({"cafe", "café", "cafe\u0301", "CAFE", "CAFÉ", "电", "##影", "影"});
  };
  const auto tokens = [&](TokenizerOptions options) { return tokens_of(Tokenizer(vocabulary(), options), "CAFÉ电影"); };
  EXPECT_EQ(tokens({}), (Tokens{"[CLS]", "cafe", "电", "影", "[SEP]"}));
  EXPECT_EQ(tokens({.strip_accents = false}), (Tokens{"[CLS]", "café", "电", "影", "[SEP]"}));
  EXPECT_EQ(tokens({.lowercase = false}), (Tokens{"[CLS]", "CAFÉ", "电", "影", "[SEP]"}));
  EXPECT_EQ(tokens({.lowercase = false, .strip_accents = true}), (Tokens{"[CLS]", "CAFE", "电", "影", "[SEP]"}));
  EXPECT_EQ(tokens({.tokenize_chinese_chars = false}), (Tokens{"[CLS]", "[UNK]", "[SEP]"}));
  const Tokenizer together(vocabulary(), {.tokenize_chinese_chars = false});
  EXPECT_EQ(tokens_of(together, "电影"), (Tokens{"[CLS]", "电", "##影", "[SEP]"}));
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
  EXPECT_NE(message_of<ValueError>([] {
              Tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
            }).find("[MASK]"),
            std::string::npos);
  EXPECT_NE(message_of<ValueError>([] {
              Tokenizer(with_specials({"a", "b", "a"}));
            }).find("'a' appears twice"),
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
  EXPECT_NE(message_of<IoError>([&] { Tokenizer::load(folder.path()); }).find("neither vocab.txt nor tokenizer.json"),
            std::string::npos);
  folder.write("vocab.txt", "[PAD]\n[CLS]\n");
  EXPECT_NE(message_of<DataError>([&] { Tokenizer::load(folder.path()); }).find("vocab.txt: unk_token: '[UNK]'"),
            std::string::npos);
  folder.write("vocab.txt", "[PAD]\n\xff\n");
  EXPECT_NE(message_of<DataError>([&] { Tokenizer::load(folder.path()); }).find("UTF-8"), std::string::npos);
  folder.write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\n");
  EXPECT_EQ(Tokenizer::load(folder.path()).vocab_size(), 5);
  for (const char* bad :
       {"{", "[]", "{\"do_lower_case\": 3}", "{\"model_max_length\": 1}", "{\"model_max_length\": \"512\"}",
        "{\"strip_accents\": 0}", "{\"tokenize_chinese_chars\": null}"}) {
    folder.write("tokenizer_config.json", bad);
    EXPECT_NE(message_of<DataError>([&] { Tokenizer::load(folder.path()); }).find("tokenizer_config.json"),
              std::string::npos);
  }
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("nothing to replace: " + from);
  return text.replace(at, from.size(), to);
}

TEST(Tokenizer, LoadsWithoutVocabTxt) {
  const test::TempFolder folder;
  const Tokenizer t(with_specials({"a", "##b", "\"quote", "电", "é", "\\"}), {.lowercase = false, .max_length = 77});
  t.save(folder.path());
  std::filesystem::remove(folder.path() / "vocab.txt");
  for (const bool with_config : {true, false}) {
    if (!with_config) std::filesystem::remove(folder.path() / "tokenizer_config.json");
    const Tokenizer back = Tokenizer::load(folder.path());
    ASSERT_EQ(back.vocab_size(), t.vocab_size());
    for (int32_t i = 0; i < t.vocab_size(); ++i) EXPECT_EQ(back.token(i), t.token(i));
    EXPECT_FALSE(back.options().lowercase);
    EXPECT_EQ(back.encode("ab 电 É").ids, t.encode("ab 电 É").ids);
  }
}

TEST(Tokenizer, AccentsAndChineseAreSavedAndLoaded) {
  for (const std::optional<bool> strip : {std::optional<bool>(), std::optional(true), std::optional(false)}) {
    for (const bool chinese : {true, false}) {
      const test::TempFolder folder;
      Tokenizer(with_specials({"a"}), {.strip_accents = strip, .tokenize_chinese_chars = chinese}).save(folder.path());
      for (const char* removed : {"nothing", "vocab.txt", "tokenizer_config.json"}) {  // which leaves tokenizer.json
        std::filesystem::remove(folder.path() / removed);
        const TokenizerOptions options = Tokenizer::load(folder.path()).options();
        EXPECT_EQ(options.strip_accents, strip) << removed;
        EXPECT_EQ(options.tokenize_chinese_chars, chinese) << removed;
      }
    }
  }
}

TEST(Tokenizer, ItsConfigurationOverridesThePipeline) {
  const test::TempFolder folder;
  Tokenizer(with_specials({"a"})).save(folder.path());
  std::filesystem::remove(folder.path() / "vocab.txt");
  folder.write("tokenizer_config.json", R"({"do_lower_case": false, "strip_accents": true})");
  const TokenizerOptions options = Tokenizer::load(folder.path(), 300).options();
  EXPECT_FALSE(options.lowercase);
  EXPECT_EQ(options.strip_accents, true);
  EXPECT_TRUE(options.tokenize_chinese_chars);
  EXPECT_EQ(options.max_length, 300);
  folder.write("tokenizer_config.json", R"({"model_max_length": 99})");
  EXPECT_EQ(Tokenizer::load(folder.path(), 300).options().max_length, 99);
}

// A tokenizer.json with these parts; the rest is WordPiece with a few pieces.
std::string with_parts(const std::string& parts, const std::string& model = "") {
  const std::string wordpiece = R"({"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",)"
                                R"("max_input_chars_per_word":100,"vocab":{"[UNK]":0,"a":1,"##b":2,"b":3}})";
  return "{" + parts + (parts.empty() ? "" : ",") + "\"model\":" + (model.empty() ? wordpiece : model) + "}";
}

std::vector<int32_t> ids_of(const std::string& json, std::string_view text) {
  const test::TempFolder folder;
  return Tokenizer::load_file(folder.write("tokenizer.json", json)).encode(text).ids;
}

using Ids = std::vector<int32_t>;

TEST(Tokenizer, NamesThePlaceThatItRefuses) {
  const test::TempFolder folder;
  const auto expect = [&](const std::string& json, const std::string& what) {
    folder.write("tokenizer.json", json);
    const std::string message = message_of<DataError>([&] { Tokenizer::load(folder.path()); });
    EXPECT_NE(message.find("tokenizer.json: "), std::string::npos) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  };
  expect("{", "not JSON");
  expect("[]", "not a JSON object");
  expect("{}", "model is missing");
  expect(with_parts(R"("version":"2.0")"), "version: \"2.0\" is not supported");
  expect(with_parts(R"("normalizer":{"type":"Rot13"})"), "normalizer.type: \"Rot13\" is not supported");
  expect(with_parts(
             R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Strip","strip_right":true}]})"),
         "normalizer.normalizers[1]: strip_left is missing");
  expect(with_parts(R"("normalizer":{"type":"BertNormalizer","clean_text":1})"),
         "normalizer.clean_text: 1 is not true");
  expect(with_parts(R"("normalizer":{"type":"Replace","pattern":{"Regex":"(a+)+$"},"content":""})"),
         "normalizer.pattern.Regex: the regular expression '(a+)+$' is not supported");
  expect(with_parts(R"("normalizer":{"type":"Replace","pattern":{"Regex":"a*"},"content":"b"})"), "normalizer.pattern");
  expect(with_parts(R"("normalizer":{"type":"Prepend","prepend":")" + std::string(257, 'a') + "\"}"), "at most 256");
  expect(with_parts(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":"AAA"})"), "no multiple of 4");
  expect(with_parts(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":"A*AA"})"), "none of base64");
  expect(with_parts(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="})"), "says that its trie");
  expect(with_parts(R"("pre_tokenizer":{"type":"UnicodeScripts"})"), "pre_tokenizer.type");
  expect(with_parts(R"("pre_tokenizer":{"type":"Metaspace","replacement":"ab"})"), "is not one character");
  expect(
      with_parts(R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}],)"
                 R"("pair":[],"special_tokens":{}})"),
      "post_processor.single[0].SpecialToken.id: is none of the special_tokens");
  expect(with_parts(R"("post_processor":{"type":"BertProcessing","sep":3,"cls":["a",1]})"), "post_processor");
  expect(with_parts(R"("truncation":{"max_length":4,"stride":4,"strategy":"LongestFirst"})"), "the stride 4");
  expect(with_parts(R"("added_tokens":[{"id":9,"content":"x"}])"), "added_tokens[0]: single_word is missing");
  expect(with_parts("", R"({"type":"Markov","vocab":{}})"), "model.type");
  expect(with_parts("", R"({"type":"WordLevel","unk_token":"?","vocab":{"a":0}})"), "'?' is not in the vocabulary");
  expect(with_parts("", R"({"type":"WordLevel","unk_token":"a","vocab":{"a":0,"b":0}})"), "the same id 0");
  expect(with_parts("", R"({"type":"WordLevel","unk_token":"a","vocab":{"a":-1}})"), "model.vocab");
  expect(with_parts("", R"({"type":"WordLevel","unk_token":"a","vocab":{"a":16777215}})"), "far above their number");
  expect(with_parts("", R"({"type":"WordLevel","unk_token":"a","vocab":{"a":0,"a":1}})"), "appears twice");
  expect(with_parts("", R"({"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]})"), "'ab' of merge 0");
  expect(with_parts("", R"({"type":"BPE","vocab":{"a":0},"merges":["a"]})"), "model.merges[0]");
  expect(with_parts("", R"({"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1})"), "model.dropout");
  expect(with_parts("", R"({"type":"Unigram","vocab":[["a",-1]],"unk_id":1})"), "unk_id: 1 is none of the 1 pieces");
  expect(with_parts("", R"({"type":"Unigram","vocab":[["a",-1]]})"), "unk_id is missing");
  expect(with_parts("", R"({"type":"Unigram","vocab":[["a","b"]],"unk_id":0})"), "model.vocab[0]");
}

TEST(Tokenizer, BpeMergesInTheOrderOfTheFile) {
  const std::string model = R"({"type":"BPE","vocab":{"a":0,"b":1,"c":2,"ab":3,"bc":4,"abc":5},"merges":)";
  EXPECT_EQ(ids_of(with_parts("", model + R"(["b c","a b","ab c"]})"), "abc"), (Ids{0, 4}));
  EXPECT_EQ(ids_of(with_parts("", model + R"([["a","b"],["b","c"],["ab","c"]]})"), "abc"), (Ids{5}));
  // Long words go another way to the same merges.
  std::string text, half;
  for (int i = 0; i < 40; ++i) text += "abc";
  EXPECT_EQ(ids_of(with_parts("", model + R"(["a b","b c","ab c"]})"), text), Ids(40, 5));
}

TEST(Tokenizer, UnigramTakesTheBestPath) {
  const std::string model = R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",0],["b",0],["c",0],["d",0],)"
                            R"(["cd",1],["ab",2],["abc",5],["abcd",10]]})";
  EXPECT_EQ(ids_of(with_parts("", model), "abcdacdxx"), (Ids{8, 1, 5, 0}));
}

TEST(Tokenizer, ScoresAreRoundedAsTheLibrariesDo) {
  EXPECT_EQ(text::json_number("0.1", text::Rounding::kNearest), 0.1);
  EXPECT_EQ(text::json_number("-12", text::Rounding::kSerde), -12.0);
  EXPECT_EQ(text::json_number("1e400", text::Rounding::kSerde), HUGE_VAL);
  EXPECT_EQ(text::json_number("5e-324", text::Rounding::kSerde), 5e-324);
  EXPECT_EQ(text::unigram_scores(R"({"x":[1],"model":{"type":"\"","vocab":[["a,]",-1.5],["b",2e1]]}})",
                                 text::Rounding::kNearest),
            (std::vector<double>{-1.5, 20}));
}

TEST(Tokenizer, AddedTokensHaveFlags) {
  const auto added = [](const std::string& flags) {
    return with_parts(R"("pre_tokenizer":{"type":"WhitespaceSplit"},"added_tokens":[{"id":9,"content":"x",)" + flags +
                      "}]");
  };
  const std::string none = R"("single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":false)";
  EXPECT_EQ(ids_of(added(none), "axb"), (Ids{1, 4, 3}));
  EXPECT_EQ(ids_of(added(replaced(none, "\"single_word\":false", "\"single_word\":true")), "axb x"), (Ids{0, 4}));
  const test::TempFolder folder;
  const auto part = [&](const std::string& flags) {
    const Tokenizer t = Tokenizer::load_file(folder.write("tokenizer.json", added(flags)));
    const auto [begin, end] = t.encode("a  x  b").offsets.at(1);
    return std::pair(begin, end);
  };
  EXPECT_EQ(part(none), std::pair(3U, 4U));
  EXPECT_EQ(part(replaced(none, "\"lstrip\":false", "\"lstrip\":true")), std::pair(1U, 4U));
  EXPECT_EQ(part(replaced(none, "\"rstrip\":false", "\"rstrip\":true")), std::pair(3U, 6U));
}

// `transformers` and `tokenizers` take the mark as a part of the first token.
TEST(Tokenizer, RefusesAByteOrderMarkInVocabTxt) {
  const test::TempFolder folder;
  Tokenizer(with_specials({"a"})).save(folder.path());
  std::filesystem::remove(folder.path() / "tokenizer.json");
  const std::string lines = test::content_of(folder.path() / "vocab.txt");
  folder.write("vocab.txt", "first\n" + lines);
  EXPECT_EQ(Tokenizer::load(folder.path()).id("first"), 0);
  folder.write("vocab.txt",
               "\xEF\xBB\xBF"
               "first\n" +
                   lines);
  const std::string message = message_of<DataError>([&] { Tokenizer::load(folder.path()); });
  EXPECT_NE(message.find("vocab.txt: begins with a byte order mark"), std::string::npos) << message;
}

TEST(Tokenizer, RefusesTokensThatVocabTxtCannotHold) {
  EXPECT_THROW(Tokenizer(with_specials({"a\nb"})), ValueError);
  EXPECT_THROW(Tokenizer(with_specials({"a\r"})), ValueError);
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

TEST(WordPieceTraining, EveryTrainingWordCanBeSpelled) {
  const std::vector<std::string> texts = {"alpha beta gamma", "alpha delta", "gamma 电影 好看", "beta 电影",
                                          "delta 好看"};
  const Tokenizer t(train_wordpiece(texts, 200));
  for (const std::string& text : texts) {
    for (const int32_t id : t.encode(text).ids) EXPECT_NE(id, t.unk_id()) << text;
  }
}

TEST(WordPieceTraining, IsDeterministicAndBounded) {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i)
    texts.push_back("word" + std::to_string(i * 7919 % 100) + " some 词" + std::to_string(i));
  const auto first = train_wordpiece(texts, 60);
  std::reverse(texts.begin(), texts.end());
  EXPECT_EQ(train_wordpiece(texts, 60), first);
  EXPECT_LE(first.size(), 60u);
  EXPECT_NO_THROW(Tokenizer{train_wordpiece(texts, 8)});
  EXPECT_THROW(train_wordpiece(texts, 5), ValueError);
  EXPECT_THROW(train_wordpiece(texts, 60, {}, 0), ValueError);
}

TEST(WordPieceTraining, RareCharactersAreLeftOut) {
  const Tokenizer t(train_wordpiece(std::vector<std::string>{"aa aa", "z"}, 100));
  EXPECT_EQ(tokens_of(t, "z"), (Tokens{"[CLS]", "[UNK]", "[SEP]"}));
}

TEST(ByteLevelBpeTraining, KeepsEveryTextAndBreaksTiesByIds) {
  const std::vector<std::string> texts(3, "ab ab Ab\n 电影👍");
  const Tokenizer t = train_byte_level_bpe(texts, 300);
  for (const std::string text : {"ab  Ab\t\n", "never seen: é 漢字 \xF0\x9F\x91\x8D"}) {
    const Encoding encoding = t.encode(text);
    EXPECT_EQ(encoding.ids.front(), t.cls_id());
    EXPECT_EQ(encoding.ids.back(), t.sep_id());
    EXPECT_EQ(t.decode(encoding.ids), text);
  }
  EXPECT_EQ(t.token(0), "[PAD]");
  EXPECT_EQ(t.token(5), "!");     // the bytes follow in the order of their characters
  EXPECT_EQ(t.token(261), "ab");  // 2 of 3 words, before all pairs that occur once a text
}

TEST(ByteLevelBpeTraining, MergesDependOnNoOrderOfTexts) {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i)
    texts.push_back("word" + std::to_string(i * 7919 % 100) + " some 词" + std::to_string(i));
  const Tokenizer first = train_byte_level_bpe(texts, 400);
  std::reverse(texts.begin(), texts.end());
  EXPECT_EQ(train_byte_level_bpe(texts, 400).tokens(), first.tokens());
  EXPECT_LE(first.vocab_size(), 400);
  EXPECT_EQ(train_byte_level_bpe(texts, kSmallestByteLevelVocabulary).vocab_size(), kSmallestByteLevelVocabulary);
}

TEST(ByteLevelBpeTraining, RefusesBadInput) {
  const std::vector<std::string> texts{"good", "b\xFF"};
  EXPECT_THROW(train_byte_level_bpe(std::span(texts).first(1), kSmallestByteLevelVocabulary - 1), ValueError);
  EXPECT_THROW(train_byte_level_bpe(std::span(texts).first(1), 300, kDefaultMaxLength, 0), ValueError);
  try {
    train_byte_level_bpe(texts, 300);
    FAIL() << "bytes that are not UTF-8 were taken";
  } catch (const DataError& error) { EXPECT_STREQ(error.what(), "text 1: byte 1 is not UTF-8"); }
}

}  // namespace
}  // namespace qing::nn
