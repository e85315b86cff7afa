#include <qing/nn/data/record_reader.h>

#include <gtest/gtest.h>
#include <malloc.h>
#include <rapidcheck.h>

#include <algorithm>
#include <memory>

#include <qing/nn/data/line_reader.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::TempFolder;

constexpr RecordFormat kFormats[] = {RecordFormat::tsv, RecordFormat::csv, RecordFormat::jsonl};

// Returns the text in pieces of `piece` bytes.
ByteInput pieces_of(std::string text, size_t piece) {
  return [text = std::move(text), piece, at = size_t{0}](std::span<char> into) mutable {
    const size_t count = std::min({piece, into.size(), text.size() - at});
    std::copy_n(text.data() + at, count, into.data());
    at += count;
    return count;
  };
}

RecordReader reader_of(RecordFormat format, std::string text, size_t piece = 1 << 20, RecordOptions options = {}) {
  return RecordReader("data", format, pieces_of(std::move(text), piece), std::move(options));
}

std::vector<Record> rest_of(RecordReader& reader) {
  std::vector<Record> records;
  while (auto record = reader.next()) records.push_back(*std::move(record));
  return records;
}

std::vector<Record> read(RecordFormat format, std::string text, size_t piece = 1 << 20, RecordOptions options = {}) {
  RecordReader reader = reader_of(format, std::move(text), piece, std::move(options));
  return rest_of(reader);
}

using Records = std::vector<Record>;

TEST(RecordReader, RefusesADuplicateColumnWhetherRequestedOrNot) {
  for (const auto& [format, text] :
       {std::pair(RecordFormat::tsv, "a\tb\ta\n1\t2\t3\n"), std::pair(RecordFormat::csv, "b,a,a\n1,2,3\n")}) {
    const std::string why =
        test::message_of<DataError>([&, &text = text, &format = format] { reader_of(format, text); });
    EXPECT_NE(why.find(":1: the column 'a' appears twice in the header"), std::string::npos) << why;
    RecordReader other = reader_of(format, text, 3, {.columns = {"b"}});
    EXPECT_EQ(rest_of(other).size(), 1u);
  }
}

// Spreadsheets write commas after the last named column.
TEST(RecordReader, ColumnsWithoutANameKeepTheirPlaces) {
  RecordReader all = reader_of(RecordFormat::csv, "a,,\n1,2,3\n");
  EXPECT_EQ(all.header(), (Record{"a", "", ""}));
  EXPECT_EQ(rest_of(all), (Records{{"1", "2", "3"}}));
}

TEST(RecordReader, GivesEveryColumnOrThoseAskedFor) {
  const std::string text = "a\tb\tc\r\n1\t2\t3\r\n\r\n4\t\t6";
  RecordReader all = reader_of(RecordFormat::tsv, text);
  EXPECT_EQ(all.header(), (Record{"a", "b", "c"}));
  EXPECT_EQ(rest_of(all), (Records{{"1", "2", "3"}, {"4", "", "6"}}));
  EXPECT_EQ(all.line(), 4u);
  RecordReader some = reader_of(RecordFormat::tsv, text, 3, {.columns = {"c", "a"}, .optional_columns = {"x", "b"}});
  EXPECT_EQ(some.header(), (Record{"c", "a", "x", "b"}));
  EXPECT_EQ(rest_of(some), (Records{{"3", "1", "", "2"}, {"6", "4", "", ""}}));
}

TEST(RecordReader, TellsAnEmptyFieldFromABlankLine) {
  EXPECT_EQ(read(RecordFormat::csv, "a\n\"\"\n\nx\n"), (Records{{""}, {"x"}}));
}

TEST(RecordReader, JsonScalarsBecomeText) {
  const std::string text =
      "\n{\"t\": \"x\", \"n\": -3, \"d\": 1.5, \"b\": true, \"z\": null}\n"
      "{\"b\": false, \"n\": 18446744073709551615, \"t\": \"\\u597d\", \"z\": \"\", \"d\": 1e300, \"more\": []}\n";
  RecordReader reader = reader_of(RecordFormat::jsonl, text);
  EXPECT_EQ(reader.header(), (Record{"t", "n", "d", "b", "z"}));
  EXPECT_EQ(rest_of(reader),
            (Records{{"x", "-3", "1.5", "true", ""}, {"好", "18446744073709551615", "1e+300", "false", ""}}));
}

TEST(RecordReader, ReadsFiles) {
  const TempFolder folder;
  RecordReader reader(folder.write("a.csv", "\xEF\xBB\xBFx,y\n\"1\n2\",3\n"));
  EXPECT_EQ(rest_of(reader), (Records{{"1\n2", "3"}}));
  RecordReader text(folder.write("a.txt", "x\ty\n1\t2\n"), RecordFormat::tsv);
  EXPECT_EQ(rest_of(text), (Records{{"1", "2"}}));
  EXPECT_NE(message_of<IoError>([&] { RecordReader(folder.path() / "none.csv"); }).find("none.csv: cannot open"),
            std::string::npos);
  EXPECT_THROW(RecordReader(folder.path() / "none.xls"), DataError);
}

struct Bad {
  RecordFormat format;
  std::string text;
  const char* message;
};

TEST(RecordReader, NamesPlaceValueAndRemedy) {
  const Bad cases[] = {
      {RecordFormat::tsv, "", "data:1: the file is empty; it needs a header and rows"},
      {RecordFormat::jsonl, "\xEF\xBB\xBF", "data:1: the file is empty; it needs a header and rows"},
      {RecordFormat::csv, "\na\n", "data:1: the first line is blank; it must name the columns"},
      {RecordFormat::tsv, "a\tb\n1\t2\n\n1\n",
       "data:4: 1 field where the header has 2; add the missing fields, or remove the row"},
      {RecordFormat::csv, "a,b\n1,\"2\n3\"\n1,2,3\n",
       "data:4: 3 fields where the header has 2; put fields that hold the separator in double quotes, or remove the "
       "row"},
      {RecordFormat::csv, "a\nx\n\"y\nz\n",
       "data:3: a quoted field never ends; close it with a quote (the record has the lines 3 to 4)"},
      {RecordFormat::csv, "a\n\"y\"z\n", "data:2: text after a closing quote; double the quotes inside a quoted field"},
      {RecordFormat::csv, "a\n\"y\n\xE4\xBD\"\n",
       "data:3: invalid UTF-8 at byte 0 of the line; save the file as UTF-8, or name its encoding with the option "
       "encoding"},
      {RecordFormat::tsv, "a\nxy\xFF\n",
       "data:2: invalid UTF-8 at byte 2 of the line; save the file as UTF-8, or name its encoding with the option "
       "encoding"},
      {RecordFormat::tsv, "a\n" + std::string(33, 'x'),
       "data:2: the line is longer than the limit of 32 bytes; split the text"},
      {RecordFormat::csv, "a\n\"" + std::string(20, 'x') + "\n" + std::string(20, 'x'),
       "data:2: the record is longer than the limit of 32 bytes; split the text, or close its quote (the record has "
       "the lines 2 to "
       "3)"},
      {RecordFormat::jsonl, "{\"a\": 1}\n{\"b\": 1}\n",
       "data:2: no field 'a' in the object, which has: 'b'; rename the field that holds it, or move it there"},
      {RecordFormat::jsonl, "{\"a\": [1]}\n",
       "data:1: field 'a' is an array or an object; a field is a string or a number"},
      {RecordFormat::jsonl, "{}\n", "data:1: an object without fields; the first one names those of all"},
  };
  for (const Bad& bad : cases) {
    for (const size_t piece : {1, 2, 1000}) {
      EXPECT_EQ(message_of<DataError>([&] { read(bad.format, bad.text, piece, {.max_line_bytes = 32}); }), bad.message);
    }
  }
  EXPECT_EQ(message_of<DataError>([&] { reader_of(RecordFormat::csv, "a,b\n", 1, {.columns = {"c"}}); }),
            "data:1: no column 'c' in the header, which has: 'a', 'b'; rename the column that holds it");
  EXPECT_EQ(message_of<DataError>(
                [&] { read(RecordFormat::jsonl, "{\"a\": 1}", 1, {.columns = {"a"}, .strings_only = true}); }),
            "data:1: field 'a' is not a string; write it in quotes");
  EXPECT_THROW(reader_of(RecordFormat::csv, "a\n", 1, {.columns = {"a", "a"}}), ValueError);
}

TEST(RecordReader, TakesALineOfExactlyTheLimit) {
  const std::string line(32, 'x');
  EXPECT_EQ(read(RecordFormat::tsv, "a\n" + line, 5, {.max_line_bytes = 32}), (Records{{line}}));
  EXPECT_EQ(read(RecordFormat::csv, "a\n" + line + "\n", 5, {.max_line_bytes = 32}), (Records{{line}}));
}

// Rows of 1000 bytes, generated on request.
class Endless {
 public:
  explicit Endless(size_t total) : total_(total) {}
  size_t given = 0;
  size_t operator()(std::span<char> into) {
    const size_t count = std::min(into.size(), total_ - given);
    for (size_t i = 0; i < count; ++i) {
      const size_t column = (given + i) % 1000;
      into[i] = column == 999 ? '\n' : column == 500 ? '\t' : 'x';
    }
    given += count;
    return count;
  }

 private:
  size_t total_;
};

TEST(RecordReader, HoldsABoundedPartOfAHugeFile) {
  constexpr size_t kTotal = 200'000'000, kSlack = 1 << 20;
  const auto source = std::make_shared<Endless>(kTotal);
  RecordReader reader("data", RecordFormat::tsv, [source](std::span<char> into) { return (*source)(into); });
  const size_t before = mallinfo2().uordblks;  // bytes in use; no figure under AddressSanitizer
  size_t rows = 1;                             // the header
  while (const auto record = reader.next()) {
    ++rows;
    ASSERT_EQ(record->size(), 2u);
    ASSERT_LE(source->given, rows * 1000 + kSlack);
    if (rows % 1000 == 0) { ASSERT_LE(mallinfo2().uordblks, before + kSlack); }
  }
  EXPECT_EQ(rows, kTotal / 1000);
}

TEST(RecordReader, RefusesAnEndlessLine) {
  size_t given = 0;
  const auto endless = [&given](std::span<char> into) {
    std::fill(into.begin(), into.end(), 'x');
    given += into.size();
    return into.size();
  };
  EXPECT_THROW(RecordReader("data", RecordFormat::jsonl, endless), DataError);
  EXPECT_LE(given, size_t{2} << 20);
}

TEST(RecordReader, PassesOnWhatTheInputThrows) {
  const auto broken = [](std::span<char>) -> size_t { throw IoError("broken"); };
  EXPECT_THROW(RecordReader("data", RecordFormat::csv, broken), IoError);
}

TEST(LineReader, GoesOnWhereTheInputThrew) {
  int call = 0;
  LineReader reader(
      "data",
      [&](std::span<char> into) -> size_t {
        static constexpr std::string_view kPieces[] = {"first li", "", "ne\nlast"};
        if (++call == 2) throw IoError("try again");
        if (call > 3) return 0;
        return kPieces[call - 1].copy(into.data(), into.size());
      },
      100);
  EXPECT_THROW(reader.next(), IoError);
  EXPECT_EQ(reader.next(), "first line");
  EXPECT_EQ(reader.line(), 1u);
  EXPECT_EQ(reader.next(), "last");
  EXPECT_EQ(reader.next(), std::nullopt);
}

const std::vector<std::string> kHostile = {"\"", ",", "\n", "\r\n", "\r", "\t",   "a",    "好",          "😀",
                                           "{",  "}", ":",  "1",    " ",  "\xE4", "\xFF", "\xEF\xBB\xBF"};

TEST(RecordReader, AnyBytesAreReadOrRefusedWhateverThePieces) {
  EXPECT_TRUE(rc::check([] {
    std::string text;
    for (const size_t i : *rc::gen::container<std::vector<size_t>>(rc::gen::inRange<size_t>(0, kHostile.size()))) {
      text += kHostile[i];
    }
    const auto outcome = [&](RecordFormat format, size_t piece) -> std::pair<Records, std::string> {
      try {
        return {read(format, text, piece, {.max_line_bytes = 40}), ""};
      } catch (const DataError& error) { return {{}, error.what()}; }
    };
    const auto piece = *rc::gen::inRange<size_t>(1, 6);
    for (const RecordFormat format : kFormats) RC_ASSERT(outcome(format, piece) == outcome(format, 1 << 20));
  }));
}

TEST(RecordReader, ReadsBackAnyCsvTable) {
  EXPECT_TRUE(rc::check([] {
    const auto width = *rc::gen::inRange<size_t>(1, 5);
    const auto field = rc::gen::map(rc::gen::container<std::vector<size_t>>(rc::gen::inRange<size_t>(0, 9)),
                                    [](const std::vector<size_t>& picks) {
                                      std::string out;
                                      for (const size_t i : picks) out += kHostile[i];
                                      return out;
                                    });
    const auto table = *rc::gen::container<Records>(rc::gen::container<Record>(width, field));
    RC_PRE(!table.empty());
    std::string text;
    for (const Record& row : table) {
      for (size_t i = 0; i < width; ++i) {
        text += i == 0 ? "\"" : ",\"";
        for (const char c : row[i]) text += c == '"' ? "\"\"" : std::string(1, c);
        text += '"';
      }
      text += *rc::gen::element("\n", "\r\n");
    }
    RecordReader reader = reader_of(RecordFormat::csv, text, *rc::gen::inRange<size_t>(1, 10));
    RC_ASSERT(reader.header() == table[0]);
    RC_ASSERT(rest_of(reader) == Records(table.begin() + 1, table.end()));
  }));
}

}  // namespace
}  // namespace qing::nn
