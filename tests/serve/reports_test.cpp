// The parts of the reports of `qing train`. tests/python tests the whole.
#include <gtest/gtest.h>

#include <qing/serve/common/sha256.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/reports/comparison_chart.h>
#include <qing/serve/reports/svg.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/serve/runs/settings.h>
#include <qing/serve/runs/toml_file.h>
#include <qing/tensor/files.h>

#include "nn/temp_folder.h"

namespace qing::serve::cli {
namespace {

using test::content_of;
using test::TempFolder;

Settings sample() {
  return {{.name = "data", .values = {"a b.tsv", "it's.tsv"}, .text = true, .list = true, .separate = true},
          {.name = "dev", .values = {}, .text = true, .list = true, .separate = true},
          {.name = "labels", .values = {"no", "yes"}, .text = true, .list = true, .separate = false},
          {.name = "lr", .values = {"5e-4"}, .text = false, .list = false, .separate = false}};
}

TEST(Settings, AreWrittenForFilesAndShells) {
  EXPECT_EQ(to_toml(sample()), "data = [\"a b.tsv\", \"it's.tsv\"]\nlabels = [\"no\", \"yes\"]\nlr = 5e-4\n");
  EXPECT_EQ(to_command_line(sample()), "--data 'a b.tsv' --data 'it'\\''s.tsv' --labels no,yes --lr 5e-4");
  Settings odd = sample();
  odd[0].values = {"say \"hi\".tsv"};
  EXPECT_NE(to_toml(odd).find(R"(["say \"hi\".tsv"])"), std::string::npos);
}

// Names with every kind of quote, and numbers that TOML does not know as such.
TEST(Settings, AreReadBackFromAFile) {
  const TempFolder folder;
  Settings odd = sample();
  odd[0].values = {"it's \"both\".tsv", "two\nlines.tsv", "a\\b # [c].tsv", "文件\x01.tsv"};
  odd.push_back({.name = "seed", .values = {"18446744073709551615"}, .text = false, .list = false, .separate = false});
  odd.push_back({.name = "warmup", .values = {".5"}, .text = false, .list = false, .separate = false});
  write_file_atomically(folder.path() / "config.toml", to_toml(odd));
  const std::vector<TomlEntry> entries = read_toml(folder.path() / "config.toml");
  ASSERT_EQ(entries.size(), 5U);  // without "dev", which has no values
  EXPECT_EQ(entries[0].values, odd[0].values);
  EXPECT_EQ(entries[1].values, odd[2].values);
  EXPECT_EQ(entries[2].values, odd[3].values);
  EXPECT_EQ(entries[3].values, odd[4].values);
  EXPECT_EQ(entries[4].values, odd[5].values);
}

std::string refusal_of(const std::filesystem::path& file, const std::string& text) {
  write_file_atomically(file, text);
  try {
    read_toml(file);
  } catch (const UsageError& error) { return std::string(error.what()).substr(file.string().size()); }
  return "";
}

TEST(TomlFile, TellsTheLineOfAnError) {
  const TempFolder folder;
  const auto file = folder.path() / "c.toml";
  EXPECT_EQ(refusal_of(file, "a = 1\nb = many\n").substr(0, 4), ":2: ");
  EXPECT_EQ(refusal_of(file, "a = 1\n\na = 2\n").substr(0, 4), ":3: ");
  EXPECT_EQ(refusal_of(file, "a = 1\nb = [[1]]\n"), ":2: b: must be a text, a number, true, false, or a list of these");
  EXPECT_EQ(refusal_of(file, "a = 1979-05-27\n"), ":1: a: must be a text, a number, true, false, or a list of these");
  EXPECT_EQ(refusal_of(file, "\xEF\xBB\xBF# mark\na = [1, 2.50, 'x'] # list\n[s.t]\nb = true\n"), "");
  const std::vector<TomlEntry> entries = read_toml(file);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].values, (std::vector<std::string>{"1", "2.50", "x"}));
  EXPECT_TRUE(entries[0].list);
  EXPECT_EQ(entries[1].section + "." + entries[1].key, "s.t.b");
  EXPECT_EQ(entries[1].values, std::vector<std::string>{"true"});
}

TEST(Settings, NumbersDifferByValue) {
  Settings now = sample();
  now[3].values = {"0.0005"};
  EXPECT_TRUE(differences(sample(), now, {}).empty());
  now[3].values = {"0.0006"};
  EXPECT_EQ(differences(sample(), now, {}), (std::vector<std::string>{"--lr is 0.0006, was 5e-4"}));
  EXPECT_TRUE(differences(sample(), now, {"lr"}).empty());
  now.pop_back();
  EXPECT_EQ(differences(sample(), now, {}), (std::vector<std::string>{"--lr is not given, was 5e-4"}));
  EXPECT_EQ(differences(now, sample(), {}), (std::vector<std::string>{"--lr is 5e-4, was not given"}));
}

TEST(MetricsLog, KeepsWholeLinesUpToAStep) {
  const TempFolder folder;
  const auto file = folder.path() / "metrics.jsonl";
  const auto at = [](int64_t step) {
    return optim::Progress{.step = step,
                           .steps = 9,
                           .epoch = 1,
                           .epochs = 1,
                           .texts = 0,
                           .loss = 1,
                           .tokens_per_second = 5,
                           .seconds_left = 0,
                           .step_loss = 0.5 * static_cast<double>(step),
                           .grad_norm = 2,
                           .lr = 0.25};
  };
  {
    MetricsLog log(file, 0);
    for (int64_t step = 1; step <= 4; ++step) log.add_step(at(step));
    log.add_evaluation(at(4), std::vector<DevScore>{{"dev \"1\"", 0.5, 0.75, 0.25, 2}}, measure_of("macro_recall"),
                       true);
    log.add_evaluation(at(4), std::vector<DevScore>{{"dev", 0.5, 0.75, 0.25, 2}}, measure_of("loss"), false);
    log.add_step(at(5));
  }
  folder.write("metrics.jsonl", content_of(file) + "{\"type\": \"step\", \"st");  // killed while it wrote
  const Metrics all = read_metrics(file);
  EXPECT_EQ(all.steps.size(), 5u);
  EXPECT_EQ(all.steps[2].loss, 1.5);
  ASSERT_EQ(all.evaluations.size(), 2u);
  EXPECT_EQ(all.evaluations[1].score, -2) << "less is better";
  EXPECT_EQ(all.evaluations[1].sets[0].loss, 2);
  EXPECT_EQ(all.evaluations[0].score, 0.75);
  EXPECT_EQ(all.evaluations[0].sets[0].name, "dev \"1\"");
  EXPECT_EQ(all.evaluations[0].sets[0].macro_f1, 0.25);
  { MetricsLog(file, 4).add_step(at(5)); }
  EXPECT_EQ(read_metrics(file).steps.size(), 5u);
  EXPECT_EQ(read_metrics(file).evaluations.size(), 2u);
  { MetricsLog log(file, 3); }
  EXPECT_EQ(read_metrics(file).steps.size(), 3u);
  EXPECT_TRUE(read_metrics(file).evaluations.empty());
  { MetricsLog log(file, 0); }
  EXPECT_EQ(content_of(file), "");
  folder.write("other.jsonl", "{\"a\": 1}\n");
  EXPECT_THROW(read_metrics(folder.path() / "other.jsonl"), DataError);
}

TEST(Svg, EscapesMarkup) {
  EXPECT_EQ(xml_escaped("a<b & \"c\"\x01>"), "a&lt;b &amp; &quot;c&quot;&gt;");
  Svg svg(10, 10, "<title>");
  svg.text(1, 2, "x<y");
  EXPECT_NE(svg.str().find("<title>&lt;title&gt;</title>"), std::string::npos);
  EXPECT_NE(svg.str().find(">x&lt;y</text>"), std::string::npos);
}

TEST(Charts, DrawTheGivenData) {
  Metrics metrics;
  EXPECT_EQ(loss_chart(metrics).find("polyline class"), std::string::npos);
  for (int64_t step = 1; step <= 5000; ++step) metrics.steps.push_back({step, 1.0 / static_cast<double>(step)});
  EXPECT_LT(loss_chart(metrics).size(), 40000u) << "more points than there is room for";
  EXPECT_EQ(loss_chart(metrics).find("Macro-recall"), std::string::npos);
  metrics.evaluations.push_back({2500, 0.5, {{"dev", 0.6, 0.512345, 0.4}}});
  EXPECT_NE(loss_chart(metrics).find("dev, step 2500: 51.23"), std::string::npos);
  EXPECT_EQ(loss_chart(metrics).find("nan"), std::string::npos);

  nn::ConfusionMatrix matrix(2);
  for (int i = 0; i < 3; ++i) matrix.add(0, 0);
  matrix.add(0, 1);
  const std::string chart = confusion_chart({"a<b", "c"}, {{"set", matrix}});
  EXPECT_NE(chart.find("3 of 4 a&lt;b texts are predicted as a&lt;b (75.0%)"), std::string::npos);
  EXPECT_NE(chart.find("0 of 0 c texts are predicted as c (0.0%)"), std::string::npos);
  EXPECT_EQ(chart.find("nan"), std::string::npos);
}

TEST(Charts, DifferencesLieOnACommonAxis) {
  const std::string chart = difference_chart(
      "B minus A", {{"All", {{"accuracy", 0.015, {-0.005, 0.035}, "p = 0.1"}}}, {"Sources", {{"a<b", 0, {0, 0}, ""}}}});
  EXPECT_NE(chart.find("accuracy: +1.50, -0.50 to +3.50"), std::string::npos);
  EXPECT_NE(chart.find("a&lt;b: +0.00"), std::string::npos);
  EXPECT_NE(chart.find("class=\"axis\""), std::string::npos) << "the line at 0";
  EXPECT_EQ(difference_chart("none", {{"All", {}}}).find("nan"), std::string::npos);
}

TEST(DataFiles, HaveTheDigestOfTheirBytes) {
  const TempFolder folder;
  EXPECT_EQ(sha256_of(folder.write("abc", "abc")),  // FIPS 180-2, appendix B.1
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of(folder.write("none", "")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_THROW(sha256_of(folder.path() / "absent"), IoError);
}

TEST(DataFiles, OfOneNameHaveTheirPathsForNames) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path() / "b");
  const auto first = folder.write("dev.tsv", "label\ttext\nno\tx\nyes\ty\nyes\tz\n");
  const auto second = folder.path() / "b/dev.tsv";
  std::filesystem::copy_file(first, second);
  const std::vector<std::filesystem::path> both = {first, second};
  const std::vector<LabelledFile> read = read_labelled(both, both, {.labels = {"no", "yes"}});
  EXPECT_EQ(read[0].name, first.string());
  EXPECT_EQ(read[1].name, second.string());
  EXPECT_EQ(read[0].file.label_texts, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(read[0].file.texts(), 3);
  const auto one = std::span(both).first(1);
  EXPECT_EQ(read_labelled(one, one, {.labels = {"no", "yes"}})[0].name, "dev.tsv");
  // Read by itself, but beside another of its name in the training: as in every other report.
  const LabelledFile beside = read_labelled(one, both, {.labels = {"no", "yes"}})[0];
  EXPECT_EQ(beside.name, first.string());
  EXPECT_EQ(beside.examples[0].source, first.string());
}

}  // namespace
}  // namespace qing::serve::cli
