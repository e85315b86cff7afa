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
  EXPECT_THROW(read_dataset(file, BadRows::kRefuse), nn::LineError);
  const Dataset dataset = read_dataset(file, BadRows::kSkip);
  EXPECT_EQ(dataset.labels, (std::vector<std::string>{"a", "z"}));
  ASSERT_EQ(dataset.examples.size(), 2U);
  EXPECT_EQ(dataset.skipped, 1);
  EXPECT_EQ(dataset.examples[0].text, "b");
  EXPECT_EQ(dataset.examples[0].label, 1);
  EXPECT_EQ(dataset.examples[0].source, "s");
  EXPECT_EQ(dataset.examples[1].label, 0);
  const Dataset known = read_dataset(file, BadRows::kSkip, {"z", "y"});
  EXPECT_EQ(known.labels, (std::vector<std::string>{"z", "y"}));
  EXPECT_EQ(known.examples.size(), 1U);
  EXPECT_EQ(known.skipped, 2);
  EXPECT_THROW(read_dataset(file, BadRows::kSkip, {"y"}), DataError);
}

}  // namespace
}  // namespace qing::serve
