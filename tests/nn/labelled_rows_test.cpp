// The formats of labelled rows, and reading on after a row that cannot be used.
#include <gtest/gtest.h>
#include <malloc.h>

#include <fstream>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/data/labelled_texts.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::TempFolder;

// "label|text|line" of each row, and "!line reason" of each other one.
std::vector<std::string> read(const std::filesystem::path& path, RowOptions options = {}) {
  std::vector<std::string> all;
  LabelledRowReader reader(path, std::move(options));
  for (;;) {
    try {
      const auto row = reader.next();
      if (!row) return all;
      all.push_back(row->label + "|" + row->text + "|" + std::to_string(row->line));
    } catch (const LineError& error) { all.push_back("!" + std::to_string(error.line()) + " " + error.reason()); }
  }
}

using Rows = std::vector<std::string>;

TEST(LabelledRows, ReadsOpenAiChats) {
  const TempFolder folder;
  const auto path = folder.write(
      "chat.jsonl",
      R"({"messages":[{"role":"system","content":"Say the mood."},{"role":"user","content":"good"},{"role":"assistant","content":" positive\n"}]}
{"messages":[{"role":"user","content":"old"},{"role":"assistant","content":"neutral"},{"role":"user","content":[{"type":"text","text":"ba"},{"type":"text","text":"d"}]},{"role":"assistant","content":"negative"}]}
{"messages":[{"role":"user","content":"good"}]}
{"messages":[{"role":"assistant","content":"positive"}]}
{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]},{"role":"assistant","content":"positive"}]}
{"messages":[{"role":"user","content":"good"},{"role":"assistant","content":null}]}
{"messages":[{"role":"user","content":"good"},{"role":"assistant","content":"positive","weight":0}]}
{"messages":[]}
)");
  const Rows rows = read(path);
  ASSERT_EQ(rows.size(), 8U);
  EXPECT_EQ(rows[0], "positive|good|1");
  EXPECT_EQ(rows[1], "negative|bad|2");
  EXPECT_EQ(rows[2].substr(0, 27), "!3 the last message is not ");
  EXPECT_EQ(rows[3].substr(0, 28), "!4 there is no message of th");
  EXPECT_EQ(rows[4].substr(0, 33), "!5 the content of messages[0] is ");
  EXPECT_EQ(rows[5].substr(0, 30), "!6 the content of the last mes");
  EXPECT_EQ(rows[6].substr(0, 38), "!7 the last message has the weight 0; ");
  EXPECT_EQ(rows[7].substr(0, 27), "!8 the last message is not ");
}

TEST(LabelledRows, ReadsTasksOfLabelStudio) {
  const TempFolder folder;
  const auto task = [](const std::string& text, const std::string& annotations) {
    return R"({"id":1,"data":{"text":")" + text + R"("},"annotations":[)" + annotations + R"(],"predictions":[]})";
  };
  const auto by = [](const std::string& label, const std::string& more = "") {
    return R"({"completed_by":1,"result":[{"from_name":"mood","to_name":"text","type":"choices","value":{"choices":[")" +
           label + R"("]}}])" + more + "}";
  };
  const std::string both = by("positive") + "," + by("negative");
  const auto path = folder.write(
      "project-1.json", "\xEF\xBB\xBF\n[\n" + task("a", by("positive")) + ",\n" +
                            task("b", by("positive") + "," + by("positive")) + "\n,\n" + task("c", both) + "," +
                            task("d", both.substr(0, both.size() - 1) + R"(,"ground_truth":true})") + ",\n" +
                            task("e", by("positive", R"(,"was_cancelled":true)")) + ",\n" +
                            task("f", R"({"result":[{"type":"labels","value":{"start":0,"end":1,"labels":["x"]}}]})") +
                            ",\n" + task("g [], \\\" }", by("neutral")) + "\n]\n");
  EXPECT_EQ(read(path),
            (Rows{"positive|a|3", "positive|b|4",
                  "!6 the annotations give 2 different labels; leave one, mark one as the ground truth, or train "
                  "with the option multi_label",
                  "negative|d|6", "!7 the task has no annotation with one choice or rating; annotate it, or remove it",
                  "!8 the task has no annotation with one choice or rating; annotate it, or remove it",
                  "neutral|g [], \" }|9"}));
}

TEST(LabelledRows, ALabelColumnIsTheQuestionOfATask) {
  const TempFolder folder;
  const auto path = folder.write(
      "tasks.json",
      R"([{"data":{"body":"a"},"annotations":[{"result":[{"from_name":"mood","type":"choices","value":{"choices":["glad"]}},)"
      R"({"from_name":"language","type":"choices","value":{"choices":["en"]}}]}]}])");
  const auto label = [&](const RowOptions& options) { return LabelledRowReader(path, options).next()->label; };
  EXPECT_EQ(label({.label_column = "mood"}), "glad");
  EXPECT_EQ(label({.label_column = "language"}), "en");
  const auto message = [&](const RowOptions& options) { return test::message_of<LineError>([&] { label(options); }); };
  EXPECT_NE(message({}).find("answer the questions language, mood; name one with the option label_column"),
            std::string::npos);
  EXPECT_NE(message({.label_column = "none"}).find("no question 'none' with choices or a rating, but language, mood"),
            std::string::npos);
  EXPECT_NE(message({.label_column = "mood", .text_column = "none"}).find("none"), std::string::npos);
  LabelledRowReader several(path, {.label_column = "mood", .several_labels = true});
  EXPECT_EQ(several.next()->labels, std::vector<std::string>{"glad"});
}

TEST(LabelledRows, RowsToPredictMayHaveAnyLabel) {
  const TempFolder folder;
  LabelledRowReader reader(
      folder.write("rows.jsonl",
                   "{\"text\":\"a\",\"label\":[]}\n{\"text\":\"b\",\"label\":[\"x\",\"y\"]}\n"
                   "{\"text\":\"c\",\"label\":[[0,1,\"ORG\"]]}\n{\"text\":\"d\",\"label\":[\"x\"]}\n"),
      {.needs_label = false});
  for (const char* text : {"a", "b", "c"}) {
    const auto row = reader.next();
    EXPECT_EQ(row->text, text);
    EXPECT_EQ(row->label, "");
  }
  EXPECT_EQ(reader.next()->label, "x");
}

TEST(LabelledRows, ReadsDoccanoAndListsOfObjects) {
  const TempFolder folder;
  const auto lines = folder.write("all.jsonl",
                                  "{\"id\":1,\"text\":\"a\",\"label\":[\"positive\"],\"Comments\":[]}\n"
                                  "{\"id\":2,\"text\":\"b\",\"label\":[]}\n"
                                  "{\"id\":3,\"text\":\"c\",\"label\":[\"x\",\"y\"]}\n"
                                  "{\"id\":4,\"text\":\"d\",\"label\":[[0,1,\"ORG\"]]}\n"
                                  "{\"id\":5,\"text\":\"e\",\"label\":[\"negative\"]}\n");
  EXPECT_EQ(read(lines),
            (Rows{"positive|a|1",
                  "!2 field 'label' is a list of 0 labels; give one string, or train with the option multi_label",
                  "!3 field 'label' is a list of 2 labels; give one string, or train with the option multi_label",
                  "!4 field 'label' is not a string; it is an array or an object; give one string", "negative|e|5"}));
  // Label Studio's JSON_MIN has a member for each control.
  EXPECT_EQ(
      read(folder.write("min.json", R"([{"text":"a","id":1,"sentiment":"Positive"},{"text":"b","sentiment":"x"}])")),
      (Rows{"Positive|a|1", "x|b|1"}));
  EXPECT_EQ(
      read(folder.write("several.json", R"([{"text":"a","sentiment":{"choices":["x","y"]}}])")),
      (Rows{"!1 field 'sentiment' is a list of 2 labels; give one string, or train with the option multi_label"}));
  EXPECT_EQ(read(folder.write("lines.json", "\n{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"b\",\"label\":\"y\"}\n")),
            (Rows{"x|a|2", "y|b|3"}));
}

// As doccano and Python's json.dump write a list.
TEST(LabelledRows, ObjectsOfOneLineAreToldApart) {
  const TempFolder folder;
  const std::string one = R"({"text":"a","label":"x"})", wrong = R"({"text":"b","label":[]})";
  const std::string reason =
      "field 'label' is a list of 0 labels; give one string, or train with the option multi_label";
  EXPECT_EQ(read(folder.write("a.json", "[" + one + ", " + wrong + ", 7, " + one + ",\n" + wrong + "," + wrong + "]")),
            (Rows{"x|a|1", "!1 object 2 of the list: " + reason,
                  "!1 object 3 of the list: not a JSON object; each element of the list is one, e.g. {\"label\": ..., "
                  "\"text\": ...}",
                  "x|a|1", "!2 " + reason, "!2 object 6 of the list: " + reason}));
  EXPECT_EQ(read(folder.write("a.json", "[" + one + "," + one + ",]")).back(),
            "!1 a comma without an object behind it; remove it");
}

TEST(LabelledRows, AListThatIsMalformedEnds) {
  const TempFolder folder;
  const std::string one = R"({"text":"a","label":"x"})";
  const auto last = [&](const std::string& content) { return read(folder.write("a.json", content)).back(); };
  EXPECT_EQ(last("[" + one + " " + one + "]"), "!1 not JSON: extra data");
  EXPECT_EQ(last("[" + one + ",]"), "!1 a comma without an object behind it; remove it");
  EXPECT_EQ(last("[" + one), "!1 the list never ends; write or download the file again");
  EXPECT_EQ(last("[" + one + "] 1"), "!1 there is text behind the list; remove it");
  EXPECT_EQ(read(folder.write("a.json", "[1,\n" + one + ",\n{\"text\":\"b\",\"text\":\"b\"}]")),
            (Rows{"!1 not a JSON object; each element of the list is one, e.g. {\"label\": ..., \"text\": ...}",
                  "x|a|2", "!3 the name 'text' appears twice in one object; remove one"}));
  EXPECT_TRUE(read(folder.write("a.json", " [ ] \n")).empty());
}

TEST(LabelledRows, GuessesTheUsualNamesOfColumns) {
  const TempFolder folder;
  EXPECT_EQ(read(folder.write("a.csv", "label,review\n1,\"fine, really\"\n")), (Rows{"1|fine, really|2"}));
  EXPECT_EQ(read(folder.write("a.tsv", "sentence\tcategory\nfine\tx\n")), (Rows{"x|fine|2"}));
  EXPECT_EQ(read(folder.write("b.csv", "文本,标签\n很好,正面\n")), (Rows{"正面|很好|2"}));
  // The exact name has precedence, and a named column has no other names.
  EXPECT_EQ(read(folder.write("c.csv", "review,text,label\na,b,x\n")), (Rows{"x|b|2"}));
  EXPECT_THROW(read(folder.write("d.csv", "review,label\na,x\n"), {.text_column = "body"}), DataError);
  EXPECT_THROW(read(folder.write("e.csv", "review,review,label\na,b,x\n")), DataError);
}

TEST(LabelledRows, AFileWithoutASuffixIsKnownByItsBytes) {
  const TempFolder folder;
  EXPECT_EQ(read(folder.write("file-1", "label\ttext\nx\ta, b\n")), (Rows{"x|a, b|2"}));
  EXPECT_EQ(read(folder.write("file-2", "label,text\nx,a\n")), (Rows{"x|a|2"}));
  EXPECT_EQ(read(folder.write("file-3", "\n {\"text\":\"a\",\"label\":\"x\"}\n")), (Rows{"x|a|2"}));
  EXPECT_EQ(read(folder.write("file-4", "\xEF\xBB\xBF[{\"text\":\"a\",\"label\":\"x\"}]")), (Rows{"x|a|1"}));
}

TEST(LabelledRows, ReadsOnAfterAnyBadRow) {
  const TempFolder folder;
  const std::string huge(3 << 20, 'x');
  EXPECT_EQ(read(folder.write("a.tsv", "label\ttext\nx\ta\nx\t" + huge + "\nx\tb\ny\nx\t\xFF\nx\tc\n\tc\nx\t \n")),
            (Rows{"x|a|2", "!3 the line is longer than the limit of 1048576 bytes; split the text", "x|b|4",
                  "!5 1 field where the header has 2; add the missing fields, or remove the row",
                  "!6 invalid UTF-8 at byte 2 of the line; save the file as UTF-8, or name its encoding with the "
                  "option encoding",
                  "x|c|7", "!8 the label is empty; give the text one, or remove the row",
                  "!9 the text is blank: it has no visible character; remove the row"}));
  EXPECT_EQ(
      read(folder.write("a.json", "[{\"text\":\"" + huge + "\",\"label\":\"x\"},\n{\"text\":\"a\",\"label\":\"x\"}]")),
      (Rows{"!1 the object is longer than the limit of 1048576 bytes; split the text", "x|a|2"}));
  EXPECT_EQ(read(folder.write("a.csv", "label,text\nx,\"a\"b\nx,c\nx,\"never")),
            (Rows{"!2 text after a closing quote; double the quotes inside a quoted field", "x|c|3",
                  "!4 a quoted field never ends; close it with a quote"}));
}

TEST(LabelledRows, MemoryDoesNotGrowWithTheFile) {
  const TempFolder folder;
  const auto path = folder.path() / "large.json";
  {
    std::ofstream out(path);
    out << '[';
    const std::string text(1000, 'x');
    for (int i = 0; i < 40'000; ++i) out << (i > 0 ? ",\n" : "") << R"({"text":")" << text << R"(","label":"a"})";
    out << ']';
  }
  LabelledRowReader reader(path);
  ASSERT_TRUE(reader.next());
  const auto before = mallinfo2().uordblks;
  size_t most = 0, rows = 1;
  while (reader.next()) {
    if (++rows % 1000 == 0) most = std::max(most, mallinfo2().uordblks);
  }
  EXPECT_EQ(rows, 40'000U);
  EXPECT_LT(most, before + (1 << 20));
}

TEST(LabelledRows, HeldTextsDependOnTheTextAlone) {
  int held = 0;
  for (int i = 0; i < 10'000; ++i) held += held_by_hash("text " + std::to_string(i), 10) ? 1 : 0;
  EXPECT_GT(held, 900);
  EXPECT_LT(held, 1100);
  EXPECT_TRUE(held_by_hash("a", 100));
  EXPECT_FALSE(held_by_hash("a", 0));
  EXPECT_EQ(held_by_hash("text 3", 50), held_by_hash("text 3", 50));
}

}  // namespace
}  // namespace qing::nn
