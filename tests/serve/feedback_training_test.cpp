// Scheduled training on feedback: the job, its file and the note that the feedback is used are stored together.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/maintenance/caretaker.h>
#include <qing/serve/service/feedback_training.h>
#include <qing/serve/state/audit.h>
#include <qing/serve/state/feedback.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

#include "child_process.h"
#include "nn/temp_folder.h"
#include "serve/serve_fixture.h"
#include "small_disk.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

class FeedbackTrainingTest : public ::testing::Test {
 protected:
  FeedbackTrainingTest() {
    registry->add("mood", 1, std::make_shared<FakeClassifier>());
    JobOptions options;
    options.unfinished = 1;
    jobs = std::make_unique<JobRunner>(state, registry, options);
    RetrainingPlans(database).put(plan);
    add_feedback();
  }
  void add_feedback() {
    ++feedback;
    FeedbackStore(database).add({.project = "a",
                                 .model = "mood",
                                 .version = 1,
                                 .request = std::to_string(feedback),
                                 .label = "positive",
                                 .text = "text " + std::to_string(feedback)});
  }
  std::vector<Feedback> kept() { return FeedbackStore(database).kept("a", "mood", 0, 100); }
  std::string train(const std::function<bool()>& take) {
    return train_on_feedback({database, *state, *registry, *jobs}, plan, kept(), take);
  }
  std::unique_ptr<Caretaker> caretaker() {
    return std::make_unique<Caretaker>(
        state, CaretakerSources{*registry, drift, versions, statistics}, nullptr,
        [this](Database& same, const RetrainingPlan& due, const std::vector<Feedback>& texts,
               const Caretaker::Take& take) {
          return train_on_feedback({same, *state, *registry, *jobs}, due, texts, take);
        },
        [this] { return now; });
  }
  std::int64_t count(const std::string& table) { return database.number("SELECT count(*) FROM " + table); }
  size_t entries(const std::string& action) { return audit_entries(database, {.action = action}).size(); }
  std::vector<std::string> files() const {
    return fs::exists(state->files()) ? test::names_in(state->files()) : std::vector<std::string>();
  }
  RetrainingPlan stored_plan() { return *RetrainingPlans(database).find("mood", "a"); }

  test::TempFolder folder;
  const std::shared_ptr<const State> state = std::make_shared<const State>(folder.path() / "state");
  const std::shared_ptr<Registry> registry = std::make_shared<Registry>();
  Database database = state->open();
  std::unique_ptr<JobRunner> jobs;
  const RetrainingPlan plan{"mood", "a", "key", 3600, 1, 1000, 0};
  int feedback = 0;
  DriftMonitor drift;
  VersionStatistics versions;
  Statistics statistics;
  std::int64_t now = 10'000;
};

TEST_F(FeedbackTrainingTest, AFullProjectWaitsWithoutAnEntryOfEachMinute) {
  const TrainingJob other = JobStore(database).create({.project = "a", .base = "scratch"}, "", {}, {});
  auto care = caretaker();
  for (int minute = 0; minute < 5; ++minute, now += 60) care->look();
  EXPECT_EQ(entries("retraining.start"), 0U);
  EXPECT_EQ(entries("retraining.fail"), 1U) << "when it begins to wait";
  EXPECT_EQ(stored_plan().feedback, 0);
  EXPECT_EQ(stored_plan().started, plan.started);
  EXPECT_TRUE(files().empty());
  add_feedback();
  ASSERT_TRUE(JobStore(database).advance(other.id, {JobStatus::kValidating}, JobStatus::kCancelled, "cancelled"));
  care->look();
  EXPECT_EQ(entries("retraining.start"), 1U);
  EXPECT_EQ(entries("retraining.fail"), 1U);
  EXPECT_EQ(stored_plan().feedback, 2);
  EXPECT_EQ(stored_plan().started, now);
  ASSERT_EQ(files().size(), 1U);
  const std::string texts = read_file(state->files() / files()[0]);
  EXPECT_NE(texts.find("text 1"), std::string::npos) << texts;
  EXPECT_NE(texts.find("text 2"), std::string::npos) << "that came while it waited: " << texts;
  EXPECT_EQ(count("jobs"), 2);
  now += 60;
  care->look();
  EXPECT_EQ(count("jobs"), 2) << "the feedback is used";
}

TEST_F(FeedbackTrainingTest, AnotherServerThatWasFasterLeavesNothing) {
  EXPECT_EQ(train([] { return false; }), "");
  EXPECT_EQ(count("jobs"), 0);
  EXPECT_EQ(count("files"), 0);
  EXPECT_TRUE(files().empty());
}

TEST_F(FeedbackTrainingTest, AnErrorInBetweenLeavesNothing) {
  EXPECT_THROW(train([]() -> bool { throw IoError("the disk is full"); }), IoError);
  EXPECT_EQ(count("jobs"), 0);
  EXPECT_EQ(count("files"), 0);
  EXPECT_TRUE(files().empty());
  EXPECT_NE(train([] { return true; }), "");
  EXPECT_EQ(count("jobs"), 1);
}

TEST_F(FeedbackTrainingTest, AKillInBetweenLosesNoFeedback) {
  const std::vector<Feedback> texts = kept();
  const auto is_killed = [&] {
    Database own = state->open();
    train_on_feedback({own, *state, *registry, *jobs}, plan, texts, [&]() -> bool {
      RetrainingPlan used = plan;
      used.feedback = 1;
      RetrainingPlans(own).advance(plan, used);
      ::_exit(9);
    });
  };
  ASSERT_EQ(test::code_of_child(is_killed), 9);
  FileStore(database, *state).clean();
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(stored_plan().feedback, 0);
  caretaker()->look();
  EXPECT_EQ(stored_plan().feedback, 1);
  EXPECT_EQ(count("jobs"), 1);
  ASSERT_EQ(files().size(), 1U);
  EXPECT_NE(read_file(state->files() / files()[0]).find("text 1"), std::string::npos);
}

// Such as those that a version of several labels gave before.
TEST_F(FeedbackTrainingTest, AnswersOfAnotherKindAreLeftOut) {
  FeedbackStore(database).add({.project = "a",
                               .model = "mood",
                               .version = 1,
                               .request = "other",
                               .label = set_text({"positive"}),
                               .text = "several",
                               .problem = nn::Problem::multi_label});
  ASSERT_EQ(kept().size(), 2U);
  EXPECT_FALSE(train([] { return true; }).empty());
  ASSERT_EQ(files().size(), 1U);
  EXPECT_EQ(read_file(state->files() / files().front()),
            "{\"text\":\"text 1\",\"label\":\"positive\",\"source\":\"feedback\"}\n");
}

}  // namespace
}  // namespace qing::serve
