// Columns of one label each: given, guessed, in every format, and cells that are no marks.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include <qing/nn/data/label_guesses.h>
#include <qing/nn/data/label_sets.h>
#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/data/learned_labels.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::TempFolder;
using Names = std::vector<std::string>;

// The labels of each row joined by '|', and "!line reason" of each other one.
Names read(const std::filesystem::path& path, RowOptions options = {}) {
  options.several_labels = true;
  LabelledRowReader reader(path, std::move(options));
  Names all;
  for (;;) {
    try {
      const auto row = reader.next();
      if (!row) return all;
      EXPECT_EQ(row->label, joined_labels(row->labels));
      all.push_back(row->label);
    } catch (const LineError& error) { all.push_back("!" + std::to_string(error.line()) + " " + error.reason()); }
  }
}

std::string refusal(const std::filesystem::path& path, RowOptions options = {}) {
  try {
    read(path, std::move(options));
  } catch (const LineError& error) { return error.reason(); }
  return {};
}

TEST(LabelGuesses, KnowsMarks) {
  for (const char* yes : {"1", " 1 ", "1.0", "true", "TRUE", "Yes", "yes\r"}) EXPECT_EQ(mark_of(yes), true) << yes;
  for (const char* no : {"0", "0.0", "false", "False", "no", "NO "}) EXPECT_EQ(mark_of(no), false) << no;
  for (const char* none : {"", " ", "2", "-1", "1.5", "y", "01", "nan", "tru"}) {
    EXPECT_EQ(mark_of(none), std::nullopt) << none;
  }
}

TEST(LabelGuesses, ReadsAColumnForEachLabelInEveryFormat) {
  const TempFolder folder;
  const Names expected = {"rude|threat", "", "threat"};
  const auto csv = folder.write("a.csv", "id,text,rude,threat\n7,a,1,1\n8,b,0,0\n9,c,0,1\n");
  const auto tsv = folder.write("a.tsv", "text\trude\tthreat\na\tyes\tTrue\nb\tno\tfalse\nc\tNo\t1.0\n");
  const auto json =
      folder.write("a.jsonl",
                   "{\"text\":\"a\",\"rude\":1,\"threat\":true}\n{\"text\":\"b\",\"rude\":0,\"threat\":false}\n"
                   "{\"text\":\"c\",\"rude\":\"no\",\"threat\":1.0}\n");
  for (const auto& file : {csv, tsv, json}) {
    EXPECT_EQ(read(file), expected) << file;
    EXPECT_EQ(read(file, {.label_columns = {"rude", "threat"}}), expected) << file;
    EXPECT_EQ(read(file, {.label_columns = {"threat"}}), (Names{"threat", "", "threat"})) << file;
  }
  LabelledRowReader reader(csv, {.several_labels = true});
  EXPECT_EQ(reader.label_columns(), (Names{"rude", "threat"}));
  EXPECT_EQ(reader.guesses(), "a label in each of the columns 'rude', 'threat'");
}

TEST(LabelGuesses, GuessesOnlyWhatIsClear) {
  const TempFolder folder;
  // One column of marks alone may be anything, and a column of labels goes before columns of marks.
  EXPECT_NE(refusal(folder.write("one.csv", "text,seen\na,1\nb,0\n")).find("no column 'label'"), std::string::npos);
  EXPECT_EQ(read(folder.write("label.csv", "text,x,y,label\na,1,0,p|q\n")), (Names{"p|q"}));
  EXPECT_EQ(read(folder.write("list.jsonl", "{\"text\":\"a\",\"x\":1,\"y\":0,\"labels\":[\"p\"]}\n")), (Names{"p"}));
  // A field that most objects lack is no label, wherever it begins.
  std::string late;
  for (int i = 0; i < 20; ++i) {
    late += std::string(R"({"text":"a","x":1,"y":0)") + (i < 17 ? "" : R"(,"seen":1)") + "}\n";
  }
  EXPECT_EQ(LabelledRowReader(folder.write("late.jsonl", late), {.several_labels = true}).label_columns(),
            (Names{"x", "y"}));
  // Columns that hold other things are no labels.
  const auto other = folder.write("stars.csv", "text,length,x,y\na,1,1,0\nb,5,0,1\nc,3,0,0\n");
  EXPECT_EQ(LabelledRowReader(other, {.several_labels = true}).label_columns(), (Names{"x", "y"}));
  EXPECT_TRUE(LabelledRowReader(other, {.needs_label = false, .several_labels = true, .guesses_label_columns = false})
                  .label_columns()
                  .empty());
}

// The fields beside the annotations are as Label Studio 1.x exports them.
TEST(LabelGuesses, TakesNoFieldOfATaskOrChatForALabel) {
  const TempFolder folder;
  const auto task = [](int id, const std::string& choices) {
    return R"({"id":)" + std::to_string(id) +
           R"(,"annotations":[{"id":1,"completed_by":1,"result":[{"value":{"choices":[)" + choices +
           R"(]},"id":"Yx","from_name":"mood","to_name":"text","type":"choices","origin":"manual"}],)"
           R"("was_cancelled":false,"ground_truth":false,"created_at":"2024-05-02T09:11:03.111111Z","lead_time":3.2,)"
           R"("prediction":{},"result_count":1,"unique_id":"2f","import_id":null,"last_action":null,"task":1,)"
           R"("project":1,"updated_by":1,"parent_prediction":null,"parent_annotation":null}],)"
           R"("file_upload":"4d.csv","drafts":[],"predictions":[],"data":{"text":"good"},"meta":{},)"
           R"("created_at":"2024-05-02T09:10:31.000001Z","updated_at":"2024-05-02T09:11:03.200001Z","inner_id":)" +
           std::to_string(id) +
           R"(,"total_annotations":1,"cancelled_annotations":0,"total_predictions":0,"comment_count":0,)"
           R"("unresolved_comment_count":0,"last_comment_updated_at":null,"project":1,"updated_by":1,)"
           R"("comment_authors":[]})";
  };
  const auto tasks = folder.write(
      "project-1.json", "[" + task(1, R"("calm","glad")") + ",\n" + task(2, "") + ",\n" + task(3, R"("glad")") + "]\n");
  LabelledRowReader reader(tasks, {.several_labels = true});
  EXPECT_TRUE(reader.label_columns().empty());
  EXPECT_EQ(reader.guesses(), "");
  EXPECT_EQ(read(tasks), (Names{"calm|glad", "", "glad"}));
  EXPECT_EQ(reader.next()->text, "good");
  EXPECT_EQ(read(tasks, {.text_column = "data.text", .label_columns = {"project", "comment_count"}}).front(),
            "project");
  const auto chat = folder.write(
      "chat.jsonl",
      R"({"messages":[{"role":"user","content":"good"},{"role":"assistant","content":"calm|glad"}],"seen":1,"kept":0})"
      "\n");
  EXPECT_EQ(read(chat), (Names{"calm|glad"}));
}

// As label-studio-sdk 2.1.2 writes JSON_MIN and CSV: one choice is its name, and several are an object.
TEST(LabelGuesses, ReadsTheAnswersOfLabelStudio) {
  const TempFolder folder;
  const auto rows = [](const std::string& several) {
    return R"([{"text":"a","id":1,"sentiment":)" + several + R"(,"annotator":1},
{"text":"b","id":2,"sentiment":"glad","annotator":1}])";
  };
  EXPECT_EQ(read(folder.write("min.json", rows(R"({"choices":["calm","glad"]})"))), (Names{"calm|glad", "glad"}));
  EXPECT_EQ(read(folder.write("other.json", rows(R"({"labels":["calm"]})"))).back(), "glad");
  const auto csv = folder.write("export.csv",
                                "\"annotator\",\"sentiment\",\"text\"\n"
                                "1,\"{\"\"choices\"\":[\"\"calm\"\",\"\"glad\"\"]}\",\"a\"\n"
                                "1,\"glad\",\"b\"\n");
  LabelledRowReader reader(csv, {.several_labels = true});
  EXPECT_EQ(reader.next()->labels, (Names{"calm", "glad"}));
  EXPECT_EQ(reader.next()->labels, (Names{"glad"}));
}

TEST(LabelGuesses, RefusesCellsThatAreNoMarksWithTheirLine) {
  const TempFolder folder;
  std::string table = "text,x,y\n";
  for (int i = 0; i < 20; ++i) table += "a,1,0\n";
  const auto file = folder.write("bad.csv", table + "b,-1,0\nc,,1\nd,0,1\n");
  const Names rows = read(file);
  ASSERT_EQ(rows.size(), 23U);
  EXPECT_EQ(rows[20].substr(0, 31), "!22 the column 'x' holds '-1'; ");
  EXPECT_EQ(rows[21].substr(0, 28), "!23 the column 'x' is empty;");
  EXPECT_EQ(rows[22], "y");
  EXPECT_NE(rows[20].find("write 1 or 0"), std::string::npos);
  const auto null =
      folder.write("null.jsonl", "{\"text\":\"a\",\"x\":null}\n{\"text\":\"b\"}\n{\"text\":\"c\",\"x\":1}\n");
  const Names objects = read(null, {.label_columns = {"x"}});
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects[0].substr(0, 27), "!1 the column 'x' is empty;");
  EXPECT_EQ(objects[1].substr(0, 3), "!2 ");
  EXPECT_EQ(objects[2], "x");
}

TEST(LabelGuesses, RefusesColumnsThatAreNoLabels) {
  const TempFolder folder;
  const auto file = folder.write("a.csv", "text,x,y\na,1,0\n");
  EXPECT_NE(refusal(file, {.label_columns = {"x", "z"}}).find("no column 'z'"), std::string::npos);
  EXPECT_NE(refusal(file, {.label_columns = {"x", "text"}}).find("holds the texts"), std::string::npos);
  EXPECT_NE(refusal(folder.write("a.txt", "just a line\n"), {.label_columns = {"x"}}).find("no columns"),
            std::string::npos);
  // A training of single labels proposes the way.
  try {
    LabelledRowReader reader(file);
    FAIL() << "a file without labels was read";
  } catch (const LineError& error) {
    EXPECT_NE(std::string(error.what()).find("x, y seem to mark a label each: the option multi_label"),
              std::string::npos);
  }
}

TEST(LabelGuesses, ExamplesHaveTheLabelsOfTheirColumns) {
  const TempFolder folder;
  const auto file = folder.write("a.csv", "text,b,a,c\nt,1,1,0\nu,0,0,0\n");
  DatasetOptions options{.labels = {"a", "b", "c"}, .problem = Problem::multi_label};
  const std::vector<Example> examples = read_dataset(file, options);
  EXPECT_EQ(examples[0].labels, (std::vector<int32_t>{0, 1}));
  EXPECT_TRUE(examples[1].labels.empty());
  // A label that no row has is a label still.
  const std::vector<std::filesystem::path> files = {file};
  EXPECT_EQ(learn_labels(files, options), (std::map<std::string, int64_t>{{"a", 1}, {"b", 1}, {"c", 0}}));
  EXPECT_EQ(labels_of_columns(files, options), (Names{"b", "a", "c"}));
  options.labels = {"a", "b"};
  EXPECT_THROW(read_dataset(file, options), LineError);
  options.labels = {"a", "b", "c", "d"};
  EXPECT_THROW(read_dataset(file, options), LineError);
  options.label_columns = {"a", "c"};
  options.labels = {"a", "c"};
  EXPECT_EQ(read_dataset(file, options)[0].labels, (std::vector<int32_t>{0}));
}

}  // namespace
}  // namespace qing::nn
