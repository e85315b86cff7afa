// How tables are written is found out, and each way is read alike.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/data/table_layout.h>
#include <qing/nn/data/table_reader.h>
#include <qing/nn/data/text_encoding.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::TempFolder;
using Rows = std::vector<std::vector<std::string>>;

// The header and the rows.
Rows table_of(const std::filesystem::path& path, TableOptions options = {}) {
  TableReader reader(path, std::move(options));
  Rows rows;
  while (reader.next()) rows.push_back(reader.fields());
  rows.insert(rows.begin(), reader.columns());
  return rows;
}

std::string description_of(const std::filesystem::path& path) { return TableReader(path).description(); }

const Rows kReviews = {{"id", "text", "label"}, {"1", "good, really; a|b", "positive"}, {"2", "bad", "negative"}};

// Writes kReviews with a separator, and quotes where it needs them.
std::string reviews(char delimiter) {
  std::string out;
  for (const auto& row : kReviews) {
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) out += delimiter;
      out += row[i].find(delimiter) == std::string::npos ? row[i] : '"' + row[i] + '"';
    }
    out += "\r\n";
  }
  return out;
}

TEST(TableReader, GuessesTheSeparator) {
  const TempFolder folder;
  for (const char delimiter : {',', ';', '\t', '|'}) {
    const auto path = folder.write("a.csv", reviews(delimiter));
    EXPECT_EQ(table_of(path), kReviews) << delimiter;
    TableReader reader(path);
    EXPECT_EQ(reader.is_guessed(), delimiter != ',') << delimiter;
  }
  EXPECT_EQ(description_of(folder.write("a.csv", reviews(';'))), "CSV separated by ';', UTF-8");
  // The names of the header decide when the numbers of fields do not.
  EXPECT_EQ(table_of(folder.write("b.csv", "text, short;label\na, b;x\nc, d;y\n"), {.known_columns = {"label"}}),
            (Rows{{"text, short", "label"}, {"a, b", "x"}, {"c, d", "y"}}));
  // A given one is not guessed.
  EXPECT_EQ(table_of(folder.write("c.csv", "text;label\na;b\n"), {.delimiter = ','}), (Rows{{"text;label"}, {"a;b"}}));
}

TEST(TableReader, TakesExcelsSeparatorLine) {
  const TempFolder folder;
  for (const char* line : {"sep=|\r\n", "\"sep=|\"\n", "SEP=|\n"}) {
    EXPECT_EQ(table_of(folder.write("a.csv", line + reviews('|'))), kReviews) << line;
  }
  TableReader reader(folder.write("a.csv", "sep=;\n" + reviews(';')));
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 3U);
}

TEST(TableReader, QuotesOfTsvCountOnlyIfTheFileShowsThem) {
  const TempFolder folder;
  const auto texts = [&](const std::string& rows) {
    Rows all = table_of(folder.write("a.tsv", "text\tlabel\n" + rows));
    std::vector<std::string> found;
    for (const auto& row : all) found.push_back(row.at(0));
    return std::vector<std::string>(found.begin() + 1, found.end());
  };
  using Texts = std::vector<std::string>;
  // As pandas writes it: a doubled quote, a tab, a line break.
  EXPECT_EQ(texts("\"say \"\"hi\"\"\"\tx\n"), (Texts{"say \"hi\""}));
  EXPECT_EQ(texts("\"a\tb\"\tx\nplain\ty\n"), (Texts{"a\tb", "plain"}));
  EXPECT_EQ(texts("\"a\nb\"\tx\nplain\ty\n"), (Texts{"a\nb", "plain"}));
  // Plain texts with quotes of their own.
  EXPECT_EQ(texts("\"good\" they said\tx\n"), (Texts{"\"good\" they said"}));
  EXPECT_EQ(texts("\"good\"\tx\n"), (Texts{"\"good\""}));
  EXPECT_EQ(texts("\"say \"\"hi\"\"\"\tx\n\"never closed\ty\n"), (Texts{"\"say \"\"hi\"\"\"", "\"never closed"}));
  EXPECT_EQ(texts("\"from here\tx\nto there\"\ty\n"), (Texts{"\"from here", "to there\""}));
}

TEST(TableReader, ReadsTextAndFastText) {
  const TempFolder folder;
  EXPECT_EQ(table_of(folder.write("a.txt", "text, with, commas\n\nb\r\n")),
            (Rows{{"text"}, {"text, with, commas"}, {""}, {"b"}}));
  EXPECT_EQ(table_of(folder.write("b.txt", "__label__x good film\n\n__label__y\tbad , film\n")),
            (Rows{{"label", "text"}, {"x", "good film"}, {"y", "bad , film"}}));
  // What a spreadsheet saves as text is a table.
  LabelledRowReader reader(folder.write("c.txt", "Text\tLabel\na, b\tx\nc\ty\n"));
  EXPECT_EQ(reader.next()->text, "a, b");
  EXPECT_EQ(reader.guesses(), "CSV separated by tabs, UTF-8, text 'Text', label 'Label'");
}

TEST(TableReader, NestedObjectsHaveColumnsWithDots) {
  const TempFolder folder;
  EXPECT_EQ(table_of(folder.write("a.jsonl", R"({"data":{"text":"a","n":{"b":1.5}},"tags":[1,"x"],"none":null})"
                                             "\n"
                                             R"({"more":true,"data":{"text":"c"}})")),
            (Rows{{"data.text", "data.n.b", "tags", "none", "more"},
                  {"a", "1.5", "[1,\"x\"]", ""},
                  {"c", "", "", "", "true"}}));
}

TEST(TableReader, LabelsOfJsonMayBeNumbersAndBooleansAndNested) {
  const TempFolder folder;
  const auto path = folder.write("a.jsonl",
                                 "{\"d\":{\"t\":\"a\"},\"l\":[{\"v\":3}]}\n{\"d\":{\"t\":\"b\"},\"l\":[{\"v\":true}]}\n"
                                 "{\"d\":{\"t\":\"c\"},\"l\":[{\"v\":4.0}]}\n{\"d\":{\"t\":\"d\"},\"l\":[]}\n");
  LabelledRowReader reader(path, {.label_column = "l.0.v", .text_column = "d.t"});
  EXPECT_EQ(reader.next()->label, "3");
  EXPECT_EQ(reader.next()->label, "true");
  EXPECT_EQ(reader.next()->label, "4");
  EXPECT_EQ(message_of<LineError>([&] { reader.next(); }),
            path.string() +
                ":4: no field 'l.0.v' in the object, which has: 'd', 'l'; rename the field that holds it, "
                "or move it there");
}

std::string encoded(const std::u16string& text, bool little) {
  std::string bytes;
  for (const char16_t unit : text) {
    const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xFF);
    bytes += little ? low : high;
    bytes += little ? high : low;
  }
  return bytes;
}

TEST(TextEncoding, IsGuessedFromTheBytes) {
  const std::u16string text = u"text,label\n好的, “真” 😀,positive\n";
  EXPECT_EQ(guess_encoding(encoded(u"\uFEFF" + text, true)), "UTF-16LE");
  EXPECT_EQ(guess_encoding(encoded(u"\uFEFF" + text, false)), "UTF-16BE");
  EXPECT_EQ(guess_encoding(encoded(text, true)), "UTF-16LE");
  EXPECT_EQ(guess_encoding(encoded(text, false)), "UTF-16BE");
  EXPECT_EQ(guess_encoding("text,label\nplain,x\n"), "UTF-8");
  EXPECT_EQ(guess_encoding("好的，很好"), "UTF-8");
  EXPECT_EQ(guess_encoding("\xBA\xC3\xB5\xC4\xA3\xAC\xBA\xDC\xBA\xC3,x\n"), "GB18030");  // 好的，很好
  EXPECT_EQ(guess_encoding("caf\xE9 tr\xE8s agr\xE9\x61\x62le, \x80 5 \x96 na\xEFve\n"), "CP1252");
  EXPECT_EQ(guess_encoding("Gr\xFC\xDF\x65, sch\xF6n!\n"), "CP1252");
  EXPECT_EQ(guess_encoding("\xFF"), "UTF-8");  // none of them: the line will be refused
  EXPECT_EQ(guess_encoding(std::string_view("a\0b\n", 4)), "UTF-8");
  // Damaged UTF-8 is still UTF-8.
  EXPECT_EQ(guess_encoding("好的很好的电影\xFF"), "UTF-8");
}

TEST(TextEncoding, OfAFileIsThatOfItsFirstBytesAbove127) {
  const TempFolder folder;
  const std::string ascii = std::string(999, 'x') + "\n";
  std::string front = "label\ttext\n";
  for (int i = 0; i < 2100; ++i) front += "a\t" + ascii;
  EXPECT_EQ(guess_file_encoding(folder.write("a.tsv", front)), "UTF-8");
  EXPECT_EQ(guess_file_encoding(folder.write("b.tsv", front + "a\tcaf\xE9 noir\n")), "CP1252");
  EXPECT_EQ(guess_file_encoding(folder.write("c.tsv", front + "a\t\xBA\xC3\xB5\xC4\n")), "GB18030");
  EXPECT_EQ(guess_file_encoding(folder.write("d.tsv", front + "a\tcaf\xC3\xA9\n")), "UTF-8");
}

TEST(TextEncoding, DecodesInPiecesOfAnySize) {
  const std::string bytes = "a\xA4\xCE\xBA\xC3\x90\x30\x81\x30z";  // aの好\U00010000z in GB 18030
  for (const size_t piece : {1, 2, 3, 100}) {
    size_t at = 0;
    const ByteInput input = decoded(
        [&](std::span<char> into) {
          const size_t count = std::min({piece, into.size(), bytes.size() - at});
          std::copy_n(bytes.data() + at, count, into.data());
          at += count;
          return count;
        },
        "GB18030");
    std::string out;
    std::vector<char> into(piece);
    for (size_t count = input(into); count > 0; count = input(into)) out.append(into.data(), count);
    EXPECT_EQ(out, "aの好\U00010000z") << piece;
  }
}

TEST(TextEncoding, RefusesTheLineOfBytesThatAreNotInIt) {
  const TempFolder folder;
  const auto path = folder.write("a.csv", "text,label\ncaf\xE9,x\n\x81,y\nb,z\n");
  TableReader reader(path, {.encoding = encoding_named("windows-1252")});
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.fields().at(0), "café");
  EXPECT_EQ(message_of<LineError>([&] { reader.next(); }),
            path.string() +
                ":3: invalid UTF-8 at byte 0 of the line; save the file as UTF-8, or name its encoding with the option "
                "encoding");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.fields().at(1), "z");
  EXPECT_THROW(encoding_named("klingon"), ValueError);
  EXPECT_THROW(encoding_named("utf-8//IGNORE"), ValueError);
  EXPECT_EQ(encoding_named("gb2312"), "GB18030");
}

}  // namespace
}  // namespace qing::nn
