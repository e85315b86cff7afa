#include <qing/nn/data/parallel_texts.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::TempFolder;

// "source|target" of each pair.
std::vector<std::string> shown(const ParallelTexts& texts) {
  std::vector<std::string> pairs;
  for (const TextPair& pair : texts.pairs) pairs.push_back(pair.source + "|" + pair.target);
  return pairs;
}

using Shown = std::vector<std::string>;

TEST(ParallelTexts, ColumnsAreGuessedByTheirNames) {
  const TempFolder folder;
  const auto ours = folder.write("a.tsv", "source\tdocument\ten\tzh\nhelp\tp1\tOpen\t打开\nui\tp2\t \t空\n");
  std::string guesses;
  const ParallelTexts texts = read_parallel(ours, {.on_guess = [&](const auto&, const auto& say) { guesses = say; }});
  EXPECT_EQ(shown(texts), (Shown{"Open|打开"}));
  EXPECT_EQ(texts.blank, 1U);
  EXPECT_EQ(texts.pairs[0].document, "p1");
  EXPECT_EQ(texts.pairs[0].origin, "help");
  EXPECT_EQ(texts.pairs[0].line, 2U);
  EXPECT_EQ(texts.source_column + texts.target_column, "enzh");
  EXPECT_EQ(guesses, "source 'en', target 'zh'");
  EXPECT_EQ(shown(read_parallel(folder.write("b.csv", "Target,Source\nb,a\n"))), (Shown{"a|b"}));
  EXPECT_EQ(shown(read_parallel(folder.write("c.csv", "tgt,id,src\nb,1,a\n"))), (Shown{"a|b"}));
  EXPECT_EQ(shown(read_parallel(folder.write("d.csv", "id,zh-Hans,pt_BR\n1,a,b\n"))), (Shown{"a|b"}));
  EXPECT_EQ(shown(read_parallel(folder.write("e.jsonl", "{\"translation\": {\"en\": \"a\", \"zh\": \"b\"}}\n"))),
            (Shown{"a|b"}));
  EXPECT_EQ(
      shown(read_parallel(folder.write("f.jsonl", "{\"zh\": \"b\", \"en\": \"a\"}\n{\"en\": \"c\", \"zh\": \"d\"}\n"),
                          {.source_column = "en"})),
      (Shown{"a|b", "c|d"}));
}

TEST(ParallelTexts, UnknownColumnsAreRefusedWithTheirNames) {
  const TempFolder folder;
  const auto file = folder.write("a.tsv", "left\tright\na\tb\n");
  EXPECT_EQ(
      message_of<DataError>([&] { read_parallel(file); }),
      file.string() + ":1: the columns of the two languages are not known among 'left', 'right'; name both columns");
  EXPECT_EQ(message_of<DataError>([&] { read_parallel(file, {.source_column = "up"}); }),
            file.string() + ":1: no column 'up' among 'left', 'right'; give the name of the column");
  EXPECT_EQ(shown(read_parallel(file, {.source_column = "left", .target_column = "right"})), (Shown{"a|b"}));
  EXPECT_EQ(shown(read_parallel(folder.write("b.tsv", "de\ten\tfr\na\tb\tc\n"),
                                {.source_column = "fr", .target_column = "en"})),
            (Shown{"c|b"}));
  const auto three = folder.write("c.tsv", "de\ten\tfr\na\tb\tc\n");
  EXPECT_THROW(read_parallel(three), DataError);
  const auto empty = folder.write("d.tsv", "en\tzh\n \ta\n");
  EXPECT_EQ(message_of<DataError>([&] { read_parallel(empty); }), empty.string() + ": has no pairs of texts");
  const auto lines = folder.write("e.txt", "one\ntwo\n");
  EXPECT_NE(message_of<DataError>([&] { read_parallel(lines); }).find("give the other language's file"),
            std::string::npos);
}

TEST(ParallelTexts, TwoFilesAreReadLineByLine) {
  const TempFolder folder;
  const auto english = folder.write("a.en", "\xEF\xBB\xBFOne\r\n\r\nThree\r\n");
  const auto chinese = folder.write("a.zh", "一\n二\n三");
  const ParallelTexts texts = read_parallel(english, chinese);
  EXPECT_EQ(shown(texts), (Shown{"One|一", "Three|三"}));
  EXPECT_EQ(texts.blank, 1U);
  EXPECT_EQ(texts.source_column + texts.target_column, "enzh");
  const auto longer = folder.write("b.zh", "一\n二\n三\n四\n");
  EXPECT_EQ(message_of<DataError>([&] { read_parallel(english, longer); }),
            english.string() + ": has fewer lines than " + longer.string() +
                ", whose line 4 has no partner; give files of equally many");
}

TEST(ParallelTexts, BadRowsAreSkippedWhereTheOptionsTakeThem) {
  const TempFolder folder;
  const auto table = folder.write("a.tsv", "en\tzh\na\tb\nc\nd\te\n");
  EXPECT_THROW(read_parallel(table), LineError);
  std::vector<size_t> bad;
  const ParallelOptions options{.on_bad_row = [&](const LineError& error) { bad.push_back(error.line()); }};
  EXPECT_EQ(shown(read_parallel(table, options)), (Shown{"a|b", "d|e"}));
  const auto english = folder.write("b.en", "a\n\xff\nc\n");
  EXPECT_EQ(shown(read_parallel(english, folder.write("b.zh", "1\n2\n3\n"), options)), (Shown{"a|1", "c|3"}));
  EXPECT_EQ(bad, (std::vector<size_t>{3, 2}));
}

TEST(ParallelTexts, NamesOfLanguagesAreKnown) {
  for (const char* name : {"en", "zh", "zh-Hans", "pt_BR", "cmn", "eng"}) EXPECT_TRUE(is_language(name)) << name;
  for (const char* name : {"", "e", "xx", "text", "EN", "en-", "english", "label"})
    EXPECT_FALSE(is_language(name)) << name;
}

}  // namespace
}  // namespace qing::nn
