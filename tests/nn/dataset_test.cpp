#include <qing/nn/data/labelled_texts.h>

#include <gtest/gtest.h>

#include <filesystem>

#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::TempFolder;

TEST(Dataset, ReadsTsvByColumnName) {
  const TempFolder folder;
  const auto path = folder.write(
      "a.tsv", "\xEF\xBB\xBFtext\tid\tlabel\tsource\r\n\"quoted\" text\t1\tpositive\tweb\r\n\n坏\t2\tnegative\tapp");
  const auto examples = read_dataset(path);
  ASSERT_EQ(examples.size(), 2u);
  EXPECT_EQ(examples[0].text, "\"quoted\" text");
  EXPECT_EQ(examples[0].label, 2);
  EXPECT_EQ(examples[0].source, "web");
  EXPECT_EQ(examples[1].text, "坏");
  EXPECT_EQ(examples[1].label, 0);
}

TEST(Dataset, ReadsCsvWithQuotesAndLineBreaks) {
  const TempFolder folder;
  const auto path = folder.write("a.csv", "label,text\nneutral,\"a, \"\"b\"\"\nsecond line\"\npositive,plain\n");
  const auto examples = read_dataset(path);
  ASSERT_EQ(examples.size(), 2u);
  EXPECT_EQ(examples[0].text, "a, \"b\"\nsecond line");
  EXPECT_EQ(examples[1].text, "plain");
}

TEST(Dataset, ReadsJsonLines) {
  const TempFolder folder;
  const auto path = folder.write(
      "a.jsonl",
      "{\"text\": \"\\u597d\", \"label\": \"positive\", \"n\": 3}\n\n{\"label\": \"neutral\", \"text\": \"x\"}\n");
  const auto examples = read_dataset(path);
  ASSERT_EQ(examples.size(), 2u);
  EXPECT_EQ(examples[0].text, "好");
  EXPECT_EQ(examples[1].label, 1);
}

struct Bad {
  const char* file;
  std::string content;
  const char* where;
  const char* what;
};

TEST(Dataset, NamesPlaceValueAndRemedy) {
  const TempFolder folder;
  const std::string head = "label\ttext\n";
  const Bad cases[] = {
      {"empty.tsv", "", "empty.tsv:1: ", "empty"},
      {"head.tsv", head, "head.tsv:1: ", "no rows"},
      {"column.tsv", "label\twords\npositive\tx\n", "column.tsv:1: ", "'text'"},
      {"label.tsv", head + "positive\tx\nglad\ty\n", "label.tsv:3: ", "'glad'"},
      {"fields.tsv", head + "positive\tx\ty\n", "fields.tsv:2: ", "3 fields where the header has 2"},
      {"utf8.tsv", head + "positive\tx\npositive\t\xE4\xBD\n", "utf8.tsv:3: ", "UTF-8 at byte 9"},
      {"text.tsv", head + "positive\t\n", "text.tsv:2: ", "empty"},
      {"long.tsv", head + "positive\t" + std::string(1 << 20, 'x') + "\n", "long.tsv:2: ", "limit of 1048576"},
      {"open.csv", "label,text\npositive,\"x\n", "open.csv:2: ", "never ends"},
      {"after.csv", "label,text\npositive,\"x\"y\n", "after.csv:2: ", "closing quote"},
      {"label.csv", "label,text\npositive,\"a\nb\"\nglad,y\n", "label.csv:4: ", "'glad'"},
      {"json.jsonl", "{\"text\": 1}\n", "json.jsonl:1: ", "'text' is not a string"},
      {"cut.jsonl", "{\"text\": \"a\", \"label\": \"positive\"}\n{\"text\n", "cut.jsonl:2: ", "not JSON"},
      {"list.jsonl", "[1]\n", "list.jsonl:1: ", "object"},
      {"miss.jsonl", "{\"text\": \"a\"}\n", "miss.jsonl:1: ", "no field 'label'"},
      {"data.xls", "x", "data.xls: ", "an old or encrypted workbook, which qing does not read; save it as .xlsx"},
      {"data.dat", "x", "data.dat: ", "unknown format '.dat'"},
      {"data.parquet", "x", "data.parquet: ", "pandas.read_parquet("},
      {"data.csv", "PK\x03\x04", "data.csv: ", "zip archive; name it .xlsx"},
      {"data.xlsx", "label,text\n", "data.xlsx: ", "is no workbook in spite of its name"},
      {"nul.csv", std::string("label,text\npositive,a\0b\n", 24), "nul.csv:2: ", "a NUL byte at byte 10"},
      {"mac.csv", "label,text\rpositive,x\r", "mac.csv:1: ", "carriage returns alone"},
      {"sep.csv", "sep=;\n", "sep.csv:1: ", "names the separator; it needs a header"},
      {"plain.txt", "good film\n", "plain.txt:1: ", "plain texts has no labels"},
      {"fast.txt", "__label__positive x\ny\n", "fast.txt:2: ", "does not begin with __label__"},
      {"fast2.txt", "__label__positive __label__x x\n", "fast2.txt:1: ", "more than one label"},
      {"data.json", "[]", "data.json:1: ", "no rows"},
      {"twice.csv", "label,text,text\npositive,good,awful\n", "twice.csv:1: ", "'text' appears twice in the header"},
      {"twice.tsv", "label\tlabel\ttext\npositive\tnegative\tx\n", "twice.tsv:1: ", "'label' appears twice"},
      {"source.tsv", "label\ttext\tsource\tsource\npositive\tx\ta\tb\n", "source.tsv:1: ", "'source' appears twice"},
      {"key.jsonl", R"({"label": "positive", "label": "negative", "text": "good"})",
       "key.jsonl:1: ", "'label' appears twice"},
      {"deep.jsonl", R"({"label": "positive", "text": "x", "m": {"a": 1, "a": 2}})",
       "deep.jsonl:1: ", "'a' appears twice"},
      {"blank.tsv", head + "positive\tx\npositive\t   \n", "blank.tsv:3: ", "blank"},
      {"blank.csv", "label,text\npositive,\"\xE3\x80\x80\xE2\x80\x8B\n\xC2\xA0\"\n", "blank.csv:2: ", "blank"},
      {"mark.jsonl", "{\"label\": \"positive\", \"text\": \"\xEF\xBB\xBF\"}\n", "mark.jsonl:1: ", "blank"},
      {"excel.csv", "id,review\n1,good\n",
       "excel.csv:1: ", "has: 'id', 'review'; name the column with the option label_column"},
      {"hidden.tsv", "label\t\xE2\x80\x8Btext\npositive\tx\n", "hidden.tsv:1: ", "'<U+200B>text'"},
      {"hidden-label.tsv", head + "\xEF\xBB\xBFpositive\tx\n", "hidden-label.tsv:2: ", "'<U+FEFF>positive'"},
      {"long-label.tsv", head + ("好好好好好好好好好好好好好好好好好好好好好好好\tx\n"),
       "long-label.tsv:2: ", "'好好好好好好好好好好好好好好好好好好好好好'"},  // 21 characters of 3 bytes
      {"utf16.csv", std::string("\xFF\xFEt\0", 4), "utf16.csv:1: ", "no column 'text'"},
      {"nested.jsonl", R"({"review": {"text": "x"}, "label": "positive"})",
       "nested.jsonl:1: ", "has: 'review', 'label'"},
      {"number.jsonl", R"({"text": "x", "label": 0})", "number.jsonl:1: ", "unknown label '0'"},
      {"several.jsonl", R"({"text": "x", "label": ["positive", "neutral"]})", "several.jsonl:1: ", "give one string"},
  };
  for (const Bad& bad : cases) {
    const auto path = folder.write(bad.file, bad.content);
    const std::string message = message_of<DataError>([&] { read_dataset(path); });
    EXPECT_NE(message.find(bad.where), std::string::npos) << message;
    EXPECT_NE(message.find(bad.what), std::string::npos) << message;
  }
  EXPECT_NE(message_of<IoError>([&] { read_dataset(folder.path() / "none.tsv"); }).find("none.tsv"), std::string::npos);
}

TEST(Dataset, ReadsSuffixesInEitherCase) {
  const TempFolder folder;
  for (const char* name : {"A.TSV", "b.Csv", "c.JSONL"}) {
    const std::string suffix = std::filesystem::path(name).extension();
    const char* content = suffix == ".TSV"   ? "label\ttext\npositive\tx\n"
                          : suffix == ".Csv" ? "label,text\npositive,x\n"
                                             : "{\"label\": \"positive\", \"text\": \"x\"}\n";
    EXPECT_EQ(read_dataset(folder.write(name, content)).at(0).text, "x") << name;
  }
}

// A program that adds a byte order mark on saving adds a second one to a file that already has one.
TEST(Dataset, SkipsByteOrderMarksInFront) {
  const TempFolder folder;
  const std::string rows = "label\ttext\npositive\tx\n";
  for (const char* marks : {"\xEF\xBB\xBF", "\xEF\xBB\xBF\xEF\xBB\xBF"}) {
    EXPECT_EQ(read_dataset(folder.write("a.tsv", marks + rows)).size(), 1U);
  }
}

TEST(IsBlank, FindsTextsWithoutVisibleCharacters) {
  for (const char* blank : {"", " \t\r\n", "\xC2\xA0", "\xE3\x80\x80", "\xE2\x80\x8B", "\xEF\xBB\xBF", "\xC2\xAD",
                            "\xEF\xB8\x8F", "\xCC\x81", "\xE3\x85\xA4", "\xE2\x80\xAE", "\x7F", "\xC2\x85"}) {
    EXPECT_TRUE(is_blank(blank)) << visible(blank);
  }
  for (const char* seen : {"a", " a ", "\xE5\xA5\xBD", ".", "\xF0\x9F\x98\x80", "e\xCC\x81", "\xE2\x80\x8B!"}) {
    EXPECT_FALSE(is_blank(seen)) << seen;
  }
  EXPECT_EQ(visible("a b\xEF\xBB\xBF\te\xCC\x81"), "a b<U+FEFF><U+0009>e\xCC\x81");
}

TEST(Dataset, WritesWhatItReads) {
  const TempFolder folder;
  write_tsv(folder.path() / "a.tsv", std::vector<Example>{{"one\ttwo\nthree", 1, "s"}, {"好", 2, ""}});
  const auto back = read_dataset(folder.path() / "a.tsv");
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].text, "one two three");
  EXPECT_EQ(back[0].source, "s");
  EXPECT_EQ(back[1].label, 2);
}

TEST(Dataset, WritesNothingItCouldNotReadBack) {
  const TempFolder folder;
  const auto refusal = [&](const Example& example, const DatasetOptions& options = {}) {
    const std::vector<Example> examples = {{"fine", 0, ""}, example};
    return message_of<ValueError>([&] { write_tsv(folder.path() / "a.tsv", examples, options); });
  };
  for (const int32_t label : {-1, 3}) {
    EXPECT_NE(refusal({"x", label, ""}).find("example 1 has label " + std::to_string(label)), std::string::npos);
  }
  EXPECT_NE(refusal({"\t", 0, ""}).find("example 1 has a blank text"), std::string::npos);
  EXPECT_NE(refusal({"x", 0, ""}, {.labels = {"good", "b\tad"}}).find("label"), std::string::npos);
  EXPECT_NE(refusal({"x", 0, ""}, {.text_column = "a\nb"}).find("text_column"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Dataset, RemovesDuplicatesKeepingTheFirst) {
  std::vector<Example> examples = {{"a", 0, ""}, {"b", 1, ""}, {"a", 2, ""}};
  EXPECT_EQ(remove_duplicates(examples), 1u);
  ASSERT_EQ(examples.size(), 2u);
  EXPECT_EQ(examples[0].label, 0);
}

TEST(Dataset, SplitsByTheTextAlone) {
  std::vector<Example> examples;
  for (int i = 0; i < 2000; ++i) examples.push_back({"text " + std::to_string(i), i % 3, ""});
  const Split whole = split_by_hash(examples, 10);
  EXPECT_NEAR(static_cast<double>(whole.held.size()), 200, 54);  // four standard deviations
  EXPECT_EQ(whole.held.size() + whole.train.size(), 2000u);
  for (const Example& held : whole.held) EXPECT_EQ(split_by_hash({held}, 10).held.size(), 1u);
  EXPECT_TRUE(split_by_hash(examples, 0).held.empty());
  EXPECT_TRUE(split_by_hash(examples, 100).train.empty());
  EXPECT_THROW(split_by_hash(examples, 101), ValueError);
}

}  // namespace
}  // namespace qing::nn
