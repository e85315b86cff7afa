// Which answers are remembered, feedback on them, and reports from it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <qing/serve/maintenance/model_report.h>
#include <qing/serve/maintenance/retraining.h>
#include <qing/serve/monitoring/answer_log.h>
#include <qing/serve/state/feedback.h>
#include <qing/serve/state/state.h>

#include "../nn/temp_folder.h"

namespace qing::serve {
namespace {

using namespace std::chrono_literals;

std::vector<nn::Prediction> predicted(std::initializer_list<int> labels) {
  std::vector<nn::Prediction> predictions;
  for (const int label : labels) predictions.push_back({label, {0.5F, 0.25F, 0.25F}, 3, false});
  return predictions;
}

class AnswerLogTest : public ::testing::Test {
 protected:
  AnswerLog log_with(AnswerLog::Bounds bounds) {
    return AnswerLog(bounds, [this] { return now; });
  }
  static void add(AnswerLog& log, const std::string& project, const std::string& request, int label) {
    log.add(project, request, "mood", 2, {"bad", "so", "good"}, predicted({label, 0}));
  }
  std::chrono::microseconds now = 1000s;
};

TEST_F(AnswerLogTest, KnowsAnAnswerOfTheSameProjectAlone) {
  AnswerLog log;
  add(log, "a", "one", 2);
  const auto answer = log.find("a", "one");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->model, "mood");
  EXPECT_EQ(answer->version, 2);
  EXPECT_EQ(answer->predicted, (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ((*answer->labels)[2], "good");
  EXPECT_FALSE(log.find("b", "one"));
  EXPECT_FALSE(log.find("a", "two"));
  add(log, "b", "one", 1);
  EXPECT_EQ(log.find("a", "one")->predicted.front(), 2) << "another project's answer of this id replaces nothing";
}

TEST_F(AnswerLogTest, KnowsSetsOfLabelsAndNumbers) {
  AnswerLog log = log_with({.answers = 10, .labels = 9, .time = 60s});
  std::vector<nn::Prediction> some = predicted({0, 1, 2});
  some[0].labels = {0, 2};
  some[2].labels = {1};
  log.add("a", "sets", "topics", 1, {"x", "y", "z"}, some, nn::Problem::multi_label);
  const auto sets = log.find("a", "sets");
  ASSERT_TRUE(sets);
  EXPECT_EQ(sets->texts(), 3U);
  EXPECT_TRUE(std::ranges::equal(sets->labels_of(0), std::vector<std::int32_t>{0, 2}));
  EXPECT_TRUE(sets->labels_of(1).empty());
  EXPECT_TRUE(std::ranges::equal(sets->labels_of(2), std::vector<std::int32_t>{1}));
  EXPECT_EQ(sets->size(), 6U);
  some[1].value = 2.5;
  log.add("a", "numbers", "price", 1, {"value"}, some, nn::Problem::regression);
  EXPECT_EQ(log.find("a", "numbers")->values, (std::vector<double>{0, 2.5, 0}));
  EXPECT_TRUE(log.find("a", "sets"));
  log.add("a", "more", "price", 1, {"value"}, predicted({0}), nn::Problem::regression);
  EXPECT_FALSE(log.find("a", "sets")) << "10 labels and numbers are more than 9";
}

TEST_F(AnswerLogTest, ForgetsByTimeNumberAndLabels) {
  AnswerLog by_time = log_with({.answers = 10, .labels = 100, .time = 60s});
  add(by_time, "a", "one", 0);
  now += 59s;
  EXPECT_TRUE(by_time.find("a", "one"));
  now += 2s;
  EXPECT_FALSE(by_time.find("a", "one"));

  AnswerLog by_number = log_with({.answers = 3, .labels = 100, .time = 60s});
  for (const char* id : {"1", "2", "3", "4"}) add(by_number, "a", id, 0);
  EXPECT_FALSE(by_number.find("a", "1"));
  EXPECT_TRUE(by_number.find("a", "2"));

  AnswerLog by_labels = log_with({.answers = 10, .labels = 5, .time = 60s});
  for (const char* id : {"1", "2", "3"}) add(by_labels, "a", id, 0);
  EXPECT_FALSE(by_labels.find("a", "1"));
  EXPECT_TRUE(by_labels.find("a", "2"));
}

TEST_F(AnswerLogTest, ALaterAnswerReplacesAnEarlierAndIsAnother) {
  AnswerLog log = log_with({.answers = 3, .labels = 100, .time = 60s});
  add(log, "a", "one", 0);
  const std::int64_t first = log.find("a", "one")->answered;
  for (int i = 0; i < 10; ++i) add(log, "a", "one", 1);
  EXPECT_EQ(log.find("a", "one")->predicted.front(), 1);
  EXPECT_GT(log.find("a", "one")->answered, first) << "even where the clock stands still";
}

class FeedbackTest : public ::testing::Test {
 protected:
  Feedback given(const std::string& project, std::int64_t index, const std::string& predicted, const std::string& label,
                 const std::string& text = {}) {
    return store.add({.project = project,
                      .model = "mood",
                      .version = 1,
                      .request = "r",
                      .index = index,
                      .answered = 7,
                      .predicted = predicted,
                      .label = label,
                      .text = text});
  }
  ModelReport report(std::int64_t now) { return report_on({.model = "mood", .version = 1, .now = now}, store); }

  test::TempFolder folder;
  Database database = State(folder.path() / "state").open();
  FeedbackStore store{database};
};

TEST_F(FeedbackTest, IsCountedByModelVersionAndLabel) {
  given("a", 0, "good", "good");
  given("a", 1, "good", "bad", "a text");
  given("b", 0, "bad", "bad");
  const auto all = store.counts({.model = "mood"});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].label, "bad");
  EXPECT_EQ(all[0].total, 2);
  EXPECT_EQ(all[0].agreed, 1);
  EXPECT_EQ(all[0].predicted, 1);
  EXPECT_EQ(all[1].predicted, 2);
  const auto totals = store.totals({.model = "mood"});
  ASSERT_EQ(totals.size(), 1U);
  EXPECT_EQ(totals[0].total, 3);
  EXPECT_EQ(totals[0].agreed, 2);
  EXPECT_EQ(totals[0].kept, 1);
  EXPECT_EQ(store.counts({.project = "b"}).size(), 1U);
  EXPECT_TRUE(store.counts({.model = "other"}).empty());
  EXPECT_TRUE(store.kept("b", "mood", 0, 10).empty());
  ASSERT_EQ(store.kept("a", "mood", 0, 10).size(), 1U);
  EXPECT_EQ(store.kept("a", "mood", 0, 10)[0].text, "a text");
}

TEST_F(FeedbackTest, OnTheSameTextReplacesTheFormer) {
  const Feedback first = given("a", 0, "good", "bad"), second = given("a", 0, "good", "so");
  EXPECT_NE(first.id, second.id);
  const auto counts = store.counts({});
  ASSERT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts[0].label, "good");
  EXPECT_EQ(counts[0].total, 0) << "it was predicted, and never right";
  EXPECT_EQ(counts[1].label, "so");
}

TEST_F(FeedbackTest, OfSeveralLabelsCountsForEachLabel) {
  const auto add = [&](std::int64_t index, const std::vector<std::string>& predicted,
                       const std::vector<std::string>& right) {
    return store.add({.project = "a",
                      .model = "topics",
                      .version = 1,
                      .request = "r",
                      .index = index,
                      .answered = 7,
                      .predicted = set_text(predicted),
                      .label = set_text(right),
                      .text = "a \"text\"",
                      .problem = nn::Problem::multi_label});
  };
  add(0, {"food", "law"}, {"food", "law"});
  add(1, {"food"}, {"food", "law"});
  add(2, {"money"}, {});
  const auto counts = store.counts({});
  ASSERT_EQ(counts.size(), 3U);
  const auto is = [](const FeedbackCount& count, const char* label, int total, int agreed, int predicted) {
    EXPECT_EQ(count.label, label);
    EXPECT_EQ(count.total, total) << label;
    EXPECT_EQ(count.agreed, agreed) << label;
    EXPECT_EQ(count.predicted, predicted) << label;
  };
  is(counts[0], "food", 2, 2, 2);
  is(counts[1], "law", 2, 1, 1);
  is(counts[2], "money", 0, 0, 1);
  const auto totals = store.totals({});
  ASSERT_EQ(totals.size(), 1U);
  EXPECT_EQ(totals[0].problem, nn::Problem::multi_label);
  EXPECT_EQ(totals[0].total, 3);
  EXPECT_EQ(totals[0].agreed, 1) << "all labels of the text";
  const auto kept = store.kept("a", "topics", 0, 10);
  ASSERT_EQ(kept.size(), 3U);
  EXPECT_EQ(training_row(kept[1]), R"({"text":"a \"text\"","label":["food","law"],"source":"feedback"})");
}

TEST_F(FeedbackTest, OfNumbersHasErrors) {
  const auto add = [&](std::int64_t index, double predicted, double right) {
    return store.add({.project = "a",
                      .model = "price",
                      .version = 1,
                      .request = "r",
                      .index = index,
                      .answered = 7,
                      .predicted = number_text(predicted),
                      .label = number_text(right),
                      .text = "x",
                      .problem = nn::Problem::regression});
  };
  add(0, 1.5, 4.5);
  add(1, 1e6, 1e6 - 1);
  EXPECT_TRUE(store.counts({}).empty());
  const auto totals = store.totals({});
  ASSERT_EQ(totals.size(), 1U);
  EXPECT_EQ(totals[0].problem, nn::Problem::regression);
  EXPECT_DOUBLE_EQ(totals[0].absolute_error, 2);
  EXPECT_DOUBLE_EQ(totals[0].squared_error, 5);
  EXPECT_EQ(training_row(store.kept("a", "price", 0, 10)[0]), R"({"text":"x","label":4.5,"source":"feedback"})");
  const ModelReport made =
      report_on({.model = "price", .version = 1, .now = store.kept("a", "price", 0, 1)[0].created}, store);
  ASSERT_EQ(made.agreement.size(), 1U);
  EXPECT_EQ(made.agreement[0].numbers, 2);
  EXPECT_EQ(made.agreement[0].feedback, 0);
  EXPECT_NE(to_json(made).find(R"("numbers":2,"mean_absolute_error":2})"), std::string::npos) << to_json(made);
}

TEST_F(FeedbackTest, AReportSaysThatAgreementFell) {
  const std::int64_t now = 2'000'000'000;
  for (int i = 0; i < 100; ++i) given("a", i, "good", i < 95 ? "good" : "bad");
  database.prepare("UPDATE feedback SET created = ?").bind(1, now - 40 * 86400).run();
  EXPECT_TRUE(report(now).reasons.empty());
  for (int i = 100; i < 140; ++i) given("a", i, "good", i < 132 ? "good" : "bad");  // 32 of 40: within chance
  database.prepare("UPDATE feedback SET created = ? WHERE item >= 100").bind(1, now - 86400).run();
  EXPECT_TRUE(report(now).reasons.empty());
  for (int i = 140; i < 200; ++i) given("a", i, "good", i < 170 ? "good" : "bad");
  database.prepare("UPDATE feedback SET created = ? WHERE item >= 140").bind(1, now - 86400).run();
  const ModelReport fallen = report(now);
  ASSERT_EQ(fallen.reasons.size(), 1U);
  EXPECT_EQ(fallen.reasons[0].code, "agreement");
  ASSERT_EQ(fallen.agreement.size(), 2U);
  EXPECT_EQ(fallen.agreement[0].feedback, 100);
  EXPECT_EQ(fallen.agreement[1].agreed, 95);
}

TEST_F(FeedbackTest, AReportSaysThatTextsDrifted) {
  const nn::DataProfile reference{.tokens = 10'000, .unknown_tokens = 50, .labels = {500, 300, 200}};
  nn::DataProfile recent{.tokens = 6'000, .unknown_tokens = 30, .labels = {300, 180, 120}};
  const auto codes = [&] {
    std::vector<std::string> found;
    for (const auto& reason :
         report_on({.model = "mood", .version = 1, .reference = &reference, .recent = &recent, .now = 1}, store)
             .reasons) {
      found.push_back(reason.code);
    }
    return found;
  };
  EXPECT_TRUE(codes().empty());
  recent.labels = {60, 60, 480};
  EXPECT_EQ(codes(), std::vector<std::string>{"drift"});
  recent.unknown_tokens = 300;
  EXPECT_EQ(codes(), (std::vector<std::string>{"drift", "unknown_tokens"}));
  recent.labels = {6, 6, 48};
  EXPECT_TRUE(codes().empty()) << "too few texts to tell";
}

TEST_F(FeedbackTest, AScheduleBeginsATrainingOnce) {
  RetrainingPlans plans(database);
  plans.put({"mood", "a", "key", 3600, 10, 1000, 0});
  const RetrainingPlan plan = *plans.find("mood", "a");
  EXPECT_FALSE(due(plan, 4599, 10));
  EXPECT_FALSE(due(plan, 4600, 9));
  EXPECT_TRUE(due(plan, 4600, 10));
  RetrainingPlan begun = plan;
  begun.started = 4600;
  begun.feedback = 12;
  EXPECT_TRUE(plans.advance(plan, begun));
  EXPECT_FALSE(plans.advance(plan, begun)) << "another server began it";
  EXPECT_EQ(plans.find("mood", "a")->feedback, 12);
  EXPECT_FALSE(plans.find("mood", "b"));
  EXPECT_FALSE(plans.remove("mood", "b"));
  EXPECT_TRUE(plans.remove("mood", "a"));
}

}  // namespace
}  // namespace qing::serve
