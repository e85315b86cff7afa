// Which answers are remembered, feedback on them, and reports from it.
#include <gtest/gtest.h>

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
  EXPECT_EQ(all[0].kept, 1);
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
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0].label, "so");
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
