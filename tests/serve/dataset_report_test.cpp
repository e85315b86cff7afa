// What a data set holds: counts, errors by line, duplicates, contradictions, languages, lengths, and its usable rows.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include <fmt/format.h>

#include <qing/serve/files/dataset.h>
#include <qing/serve/files/scripts.h>
#include <qing/serve/files/text_runs.h>
#include <qing/tensor/errors.h>

#include "../nn/temp_folder.h"

namespace qing::serve {
namespace {

using Counts = std::map<std::string, std::int64_t>;

// The labels are those of the file.
nn::DatasetOptions learning(nn::Problem problem = nn::Problem::single_label) {
  return {.labels = {}, .problem = problem};
}

TEST(DatasetReport, CountsWhatAFileHolds) {
  const test::TempFolder folder;
  const auto file = folder.write("file-a",
                                 "label\ttext\npositive\tgood\npositive\tgood\nnegative\tgood\nneutral\t很好\n"
                                 "neutral\n\tx\npositive\tさようなら、東京\nneutral\t12 345\n");
  const DatasetReport report = examine_dataset(file);
  EXPECT_EQ(report.format, "tsv");
  EXPECT_EQ(report.rows, 6);
  EXPECT_EQ(report.wrong, 2);
  ASSERT_EQ(report.errors.size(), 2U);
  EXPECT_EQ(report.errors[0].line, 6);
  EXPECT_EQ(report.errors[1].line, 7);
  EXPECT_EQ(report.labels, (Counts{{"negative", 1}, {"neutral", 2}, {"positive", 3}}));
  EXPECT_EQ(report.languages, (Counts{{"chinese", 1}, {"japanese", 1}, {"latin", 3}, {"none", 1}}));
  EXPECT_EQ(report.duplicates, 1);
  EXPECT_EQ(report.contradictions, 1);
  EXPECT_EQ(report.lengths.least, 2);
  EXPECT_EQ(report.lengths.median, 4);
  EXPECT_EQ(report.lengths.most, 8);
  EXPECT_DOUBLE_EQ(report.lengths.mean, 28.0 / 6);
  const DatasetReport back = report_from_json(to_json(report));
  EXPECT_EQ(to_json(back), to_json(report));
  EXPECT_THROW(report_from_json("{}"), DataError);
}

TEST(DatasetReport, AFileThatIsNoneHasOneError) {
  const test::TempFolder folder;
  for (const char* content : {"", "id,review\n1,x\n", "label,text\n", "[]"}) {
    const DatasetReport report = examine_dataset(folder.write("file-a", content));
    EXPECT_EQ(report.rows, 0) << content;
    EXPECT_EQ(report.wrong, 1) << content;
    EXPECT_EQ(report.errors.size(), 1U) << content;
    EXPECT_EQ(report.errors[0].message.find(folder.path().string()), std::string::npos) << "a path of the server";
  }
}

TEST(DatasetReport, KeepsTheFirstErrorsAndBoundsLabels) {
  const test::TempFolder folder;
  std::string content = "label\ttext\n";
  for (int i = 0; i < 1200; ++i) content += fmt::format("label {}\ttext\n", i);
  content += std::string(300, 'x') + "\ttext\n";
  const DatasetReport report = examine_dataset(folder.write("file-a", content));
  EXPECT_EQ(report.rows, 1000);
  EXPECT_EQ(report.wrong, 201);
  EXPECT_EQ(report.errors.size(), DatasetReport::kErrors);
  EXPECT_EQ(report.errors.back().line, 1101);
  EXPECT_EQ(report.contradictions, 1);
}

// The numbers are those of a plain count, whether entries fit into memory or not.
TEST(DatasetReport, RunsCountAsAMapDoes) {
  const test::TempFolder folder;
  std::mt19937 random(7);
  for (const size_t held : {size_t{1} << 20, size_t{100}, size_t{1}}) {
    TextRuns runs(folder.path(), held);
    std::map<std::string, std::map<int, int>> all;
    for (int i = 0; i < (held == 1 ? 300 : 20'000); ++i) {
      const std::string text = fmt::format("text {}", random() % 9000);
      const int label = static_cast<int>(random() % 3);
      runs.add(text, label);
      ++all[text][label];
    }
    std::int64_t duplicates = 0, contradictions = 0;
    for (const auto& [text, labels] : all) {
      contradictions += labels.size() > 1 ? 1 : 0;
      for (const auto& [label, count] : labels) duplicates += count - 1;
    }
    const TextRuns::Counts counts = runs.count();
    EXPECT_EQ(counts.duplicates, duplicates);
    EXPECT_EQ(counts.contradictions, contradictions);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DatasetReport, LanguagesByScript) {
  EXPECT_EQ(language_by_script("Straße №1"), "latin");
  EXPECT_EQ(language_by_script("Привет, world"), "cyrillic");
  EXPECT_EQ(language_by_script("안녕하세요"), "korean");
  EXPECT_EQ(language_by_script("東京タワーへ行きました"), "japanese");
  EXPECT_EQ(language_by_script("我爱北京 OK"), "chinese");
  EXPECT_EQ(language_by_script("สวัสดี"), "thai");
  EXPECT_EQ(language_by_script("გამარჯობა"), "other");
  EXPECT_EQ(language_by_script("😀 1234 ,."), "none");
  EXPECT_EQ(language_by_script(""), "none");
}

TEST(DatasetReport, ADamagedWorkbookIsAnErrorOfTheFile) {
  const test::TempFolder folder;
  const std::string_view bytes("PK\x03\x04\x14\x00 and no more", 19);
  const DatasetReport report = examine_dataset(folder.write("file-a", std::string(bytes)));
  EXPECT_EQ(report.rows, 0);
  ASSERT_EQ(report.errors.size(), 1U);
  EXPECT_NE(report.errors[0].message.find("damaged"), std::string::npos) << report.errors[0].message;
  EXPECT_EQ(report.errors[0].message.find(folder.path().string()), std::string::npos) << report.errors[0].message;
}

TEST(Dataset, ReadsUsableRowsWithTheirLabels) {
  const test::TempFolder folder;
  const auto file = folder.write("file-a", "text,label,source\nb,z,s\nbad\na,a,\n");
  EXPECT_THROW(read_dataset(file, BadRows::kRefuse, learning()), nn::LineError);
  const Dataset dataset = read_dataset(file, BadRows::kSkip, learning());
  EXPECT_EQ(dataset.labels, (std::vector<std::string>{"a", "z"}));
  ASSERT_EQ(dataset.examples.size(), 2U);
  EXPECT_EQ(dataset.skipped, 1);
  EXPECT_EQ(dataset.examples[0].text, "b");
  EXPECT_EQ(dataset.examples[0].label, 1);
  EXPECT_EQ(dataset.examples[0].source, "s");
  EXPECT_EQ(dataset.examples[1].label, 0);
  const Dataset known = read_dataset(file, BadRows::kSkip, {.labels = {"z", "y"}});
  EXPECT_EQ(known.labels, (std::vector<std::string>{"z", "y"}));
  EXPECT_EQ(known.examples.size(), 1U);
  EXPECT_EQ(known.skipped, 2);
  EXPECT_THROW(read_dataset(file, BadRows::kSkip, {.labels = {"y"}}), DataError);
}

TEST(DatasetReport, RowsOfSeveralLabelsCountForEach) {
  const test::TempFolder folder;
  const std::string separated = "text,labels\na,x|y\nb,y\nc,\na,y|x\nd,x|y|z\ne,z\n";
  const std::string columns = "text,x,y,z\na,1,1,0\nb,0,1,0\nc,0,0,0\na,1,1,0\nd,1,1,1\ne,0,0,1\n";
  const std::string lists =
      R"([{"text":"a","label":["x","y"]},{"text":"b","label":["y"]},{"text":"c","label":[]},{"text":"a","label":["y","x"]},
{"text":"d","label":["z","x","y"]},{"text":"e","label":["z"]}])";
  for (const std::string& content : {separated, columns, lists}) {
    const DatasetReport report = examine_dataset(folder.write("file-a", content));
    EXPECT_EQ(report.problem, nn::Problem::multi_label) << content;
    EXPECT_EQ(report.rows, 6) << content;
    EXPECT_EQ(report.wrong, 0) << content;
    EXPECT_EQ(report.labels, (Counts{{"x", 3}, {"y", 4}, {"z", 2}})) << content;
    EXPECT_EQ(report.duplicates, 1) << content;
    EXPECT_EQ(report.contradictions, 0) << content;
    EXPECT_EQ(to_json(report_from_json(to_json(report))), to_json(report));
  }
}

TEST(DatasetReport, NumbersAreNoLabels) {
  const test::TempFolder folder;
  const DatasetReport report = examine_dataset(folder.write("file-a", "text,label\na,1.5\nb,-2\nc,many\na,3\nd,1.5\n"));
  EXPECT_EQ(report.problem, nn::Problem::single_label) << "one field is no number";
  const DatasetReport numbers = examine_dataset(folder.write("file-b", "text,label\na,1.5\nb,-2\na,3\na,3.0\n"));
  EXPECT_EQ(numbers.problem, nn::Problem::regression);
  EXPECT_EQ(numbers.rows, 4);
  EXPECT_TRUE(numbers.labels.empty());
  EXPECT_DOUBLE_EQ(numbers.numbers.least, -2);
  EXPECT_DOUBLE_EQ(numbers.numbers.mean, 1.375);
  EXPECT_DOUBLE_EQ(numbers.numbers.most, 3);
  EXPECT_EQ(numbers.duplicates, 1) << "3 and 3.0 are one number";
  EXPECT_EQ(numbers.contradictions, 1);
  EXPECT_EQ(to_json(report_from_json(to_json(numbers))), to_json(numbers));
  std::string whole = "text,label\n", late = whole;
  for (int i = 0; i < 1200; ++i) whole += fmt::format("a,{}\n", i);
  EXPECT_EQ(examine_dataset(folder.write("file-c", whole)).rows, 1200) << "more numbers than labels";
  for (int i = 0; i < 20'000; ++i) late += fmt::format("a,{}\n", i < 15'000 ? "1.5" : "no");
  const DatasetReport mixed = examine_dataset(folder.write("file-d", late));
  EXPECT_EQ(mixed.rows, 15'000);
  EXPECT_EQ(mixed.wrong, 5'000);
  EXPECT_EQ(mixed.errors.front().message, "'no' is not a number; write one such as 3.5, or remove the row");
  EXPECT_EQ(report_from_json(to_json(mixed)).wrong, 5'000);
}

TEST(Dataset, ReadsRowsOfSeveralLabelsAndNumbers) {
  const test::TempFolder folder;
  const auto sets = folder.write("file-a", "text,labels\nb,z; y\na,\nc,a;z\n");
  const Dataset learned = read_dataset(sets, BadRows::kRefuse, learning(nn::Problem::multi_label));
  EXPECT_EQ(learned.labels, (std::vector<std::string>{"a", "y", "z"}));
  ASSERT_EQ(learned.examples.size(), 3U);
  EXPECT_EQ(learned.examples[0].labels, (std::vector<std::int32_t>{1, 2}));
  EXPECT_TRUE(learned.examples[1].labels.empty());
  EXPECT_EQ(learned.examples[2].labels, (std::vector<std::int32_t>{0, 2}));
  EXPECT_EQ(learned.examples[0].label, nn::kNoLabel);
  nn::DatasetOptions known = learning(nn::Problem::multi_label);
  known.labels = {"z", "y"};
  EXPECT_THROW(read_dataset(sets, BadRows::kRefuse, known), nn::LineError);
  EXPECT_EQ(read_dataset(sets, BadRows::kSkip, known).skipped, 1);

  const auto columns = folder.write("file-b", "text,zoo,art\na,1,0\nb,1,1\n");
  const Dataset marked = read_dataset(columns, BadRows::kRefuse, learning(nn::Problem::multi_label));
  EXPECT_EQ(marked.labels, (std::vector<std::string>{"zoo", "art"})) << "the order of the columns";
  EXPECT_EQ(marked.examples[1].labels, (std::vector<std::int32_t>{0, 1}));
  known.labels = {"zoo", "other"};
  EXPECT_THROW(read_dataset(columns, BadRows::kRefuse, known), DataError);
  known.labels = {"zoo"};
  EXPECT_THROW(read_dataset(columns, BadRows::kRefuse, known), DataError);

  const auto numbers = folder.write("file-c", "text,price\na,1e3\nb,x\n");
  nn::DatasetOptions priced = learning(nn::Problem::regression);
  priced.label_column = "price";
  const Dataset values = read_dataset(numbers, BadRows::kSkip, priced);
  EXPECT_EQ(values.labels, (std::vector<std::string>{"value"}));
  EXPECT_EQ(values.examples.at(0).value, 1000);
  EXPECT_EQ(values.skipped, 1);
  const auto counts = folder.write("file-d", "text,label\na,10\nb,9\n");
  EXPECT_EQ(read_dataset(counts, BadRows::kRefuse, learning()).labels, (std::vector<std::string>{"9", "10"}));
}

}  // namespace
}  // namespace qing::serve
