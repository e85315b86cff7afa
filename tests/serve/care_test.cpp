// Trials that go on by themselves, retrainings, and files whose time is over.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <qing/serve/files/file_store.h>
#include <qing/serve/maintenance/caretaker.h>
#include <qing/serve/state/audit.h>
#include <qing/tensor/errors.h>

#include "../nn/temp_folder.h"
#include "serve_fixture.h"
#include "small_disk.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using Action = TrialVerdict::Action;

TrialPlan plan_of(TrialLimits limits) {
  TrialPlan plan;
  plan.model = "mood";
  plan.version = 2;
  plan.steps = {0.01, 0.5, 1};
  plan.minutes_each = 10;
  plan.requests_each = 30;
  plan.limits = limits;
  plan.step_started = 1000;
  return plan;
}

TEST(TrialVerdicts, AStepEndsAfterItsTimeAndRequests) {
  TrialPlan plan = plan_of({});
  TrialReading reading{.trial = {29, 0, 1}, .active = {1000, 0, 30}};
  EXPECT_EQ(judge_trial(plan, reading, 1600).action, Action::kStay) << "too few requests";
  reading.trial.requests = 30;
  EXPECT_EQ(judge_trial(plan, reading, 1599).action, Action::kStay) << "too early";
  EXPECT_EQ(judge_trial(plan, reading, 1600).action, Action::kNext);
  plan.step = 2;
  EXPECT_EQ(judge_trial(plan, reading, 1600).action, Action::kPromote);
}

TEST(TrialVerdicts, EachLimitEndsTheTrialBeyondChance) {
  const auto verdict = [](TrialLimits limits, const TrialReading& reading) {
    return judge_trial(plan_of(limits), reading, 1001);
  };
  const TrialLimits errors{.error_rate = 0.05};
  EXPECT_EQ(verdict(errors, {.trial = {9, 9, 1}}).action, Action::kStay);
  EXPECT_EQ(verdict(errors, {.trial = {20, 2, 1}}).action, Action::kStay) << "10%, but 2.8% is as likely";
  EXPECT_EQ(verdict(errors, {.trial = {20, 5, 1}}).action, Action::kEnd);
  EXPECT_EQ(verdict(errors, {.trial = {20, 5, 1}}).reason.find("error_rate: 5 of 20"), 0U);
  const TrialLimits slow{.latency_factor = 2};
  EXPECT_EQ(verdict(slow, {.trial = {30, 0, 3}, .active = {100, 0, 5}}).action, Action::kStay);
  EXPECT_EQ(verdict(slow, {.trial = {30, 0, 3.1}, .active = {100, 0, 5}}).action, Action::kEnd);
  EXPECT_EQ(verdict(slow, {.trial = {29, 0, 9}, .active = {100, 0, 5}}).action, Action::kStay);
  const TrialLimits agree{.agreement = 0.9};
  EXPECT_EQ(verdict(agree, {.compared = 100, .agreed = 86}).action, Action::kStay);
  EXPECT_EQ(verdict(agree, {.compared = 100, .agreed = 70}).action, Action::kEnd);
  EXPECT_EQ(verdict(agree, {.compared = 29, .agreed = 0}).action, Action::kStay);
  for (int64_t count = 30; count <= 300; ++count) {
    ASSERT_EQ(verdict({.error_rate = 0}, {.trial = {count, 0, 1}}).action, Action::kStay) << "0 of " << count;
    ASSERT_EQ(verdict({.agreement = 1}, {.compared = count, .agreed = count}).action, Action::kStay) << count;
  }
  const TrialLimits drift{.drift = 0.2};
  EXPECT_EQ(verdict(drift, {.drift_texts = 199, .drift = 1}).action, Action::kStay);
  EXPECT_EQ(verdict(drift, {.drift_texts = 200, .drift = 0.21}).action, Action::kEnd);
  EXPECT_EQ(verdict({}, {.trial = {1000, 1000, 1000}, .compared = 1000, .drift_texts = 1000, .drift = 9}).action,
            Action::kStay)
      << "without limits nothing ends it";
}

class CaretakerTest : public ::testing::Test {
 protected:
  CaretakerTest() {
    for (const char* version : {"1", "2"}) fs::create_directories(folder.path() / "models/mood" / version);
    registry = opened();
    registry->load("mood", 1);
    state = std::make_shared<const State>(folder.path() / "state");
  }
  std::shared_ptr<Registry> opened() const {
    auto made = std::make_shared<Registry>(folder.path() / "models", [](const fs::path& path) {
      if (fs::exists(path / "broken")) throw DataError("broken weights");
      if (fs::exists(path / "unreadable")) throw IoError("too many open files");
      return std::make_shared<FakeClassifier>();
    });
    made->load();
    return made;
  }
  std::unique_ptr<Caretaker> caretaker() {
    return std::make_unique<Caretaker>(state, CaretakerSources{*registry, drift, versions, statistics}, nullptr,
                                       nullptr, [this] { return now; });
  }
  void begin(const TrialLimits& limits) {
    Database database = state->open();
    TrialPlan plan = plan_of(limits);
    plan.project = "a";
    registry->set_trial("mood", {2, plan.steps.front(), false});
    TrialPlans(database).put(plan);
  }
  void answer(int count, bool failed) {
    for (int i = 0; i < count; ++i) versions.add("mood", 2, failed, std::chrono::milliseconds(10));
  }
  // Takes the trial of begin() through its first two steps of three.
  void reach_last_step(Caretaker& care) {
    for (int step = 0; step < 2; ++step) {
      care.look();
      answer(30, false);
      now += 600;
      care.look();
    }
  }
  double share() const { return registry->find("mood")->trial.share; }
  std::vector<std::string> actions() {
    Database database = state->open();
    std::vector<std::string> found;
    for (const AuditEntry& entry : audit_entries(database, {.project = "a"})) found.push_back(entry.action);
    return found;
  }
  size_t plans() {
    Database database = state->open();
    return TrialPlans(database).models().size();
  }

  test::TempFolder folder;
  std::shared_ptr<Registry> registry;
  std::shared_ptr<const State> state;
  DriftMonitor drift;
  VersionStatistics versions;
  Statistics statistics;
  std::int64_t now = 1000;
};

TEST_F(CaretakerTest, DoesNothingWithoutAState) {
  caretaker()->look();
  EXPECT_FALSE(state->exists());
}

TEST_F(CaretakerTest, ATrialGoesThroughItsStepsAndBecomesActive) {
  begin({.error_rate = 0.05});
  auto care = caretaker();
  care->look();
  EXPECT_EQ(share(), 0.01);
  for (const double next : {0.5, 1.0}) {
    answer(30, false);
    care->look();
    EXPECT_LT(share(), next);
    now += 600;
    care->look();
    EXPECT_EQ(share(), next);
  }
  answer(30, false);
  now += 600;
  care->look();
  EXPECT_EQ(registry->find("mood")->version, 2);
  EXPECT_EQ(registry->find("mood")->candidate, nullptr);
  EXPECT_EQ(plans(), 0U);
  EXPECT_EQ(actions(), (std::vector<std::string>{"trial.promote", "trial.step", "trial.step"}));
  EXPECT_EQ(opened()->find("mood")->version, 2);
}

TEST_F(CaretakerTest, InjectedErrorsEndATrialWithAReason) {
  begin({.error_rate = 0.05});
  auto care = caretaker();
  care->look();
  answer(20, true);
  care->look();
  EXPECT_EQ(registry->find("mood")->candidate, nullptr);
  EXPECT_EQ(registry->find("mood")->version, 1);
  EXPECT_EQ(opened()->find("mood")->candidate, nullptr);
  Database database = state->open();
  const auto entries = audit_entries(database, {.project = "a"});
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].action, "trial.end");
  EXPECT_NE(entries[0].detail.find("20 of 20 requests failed"), std::string::npos) << entries[0].detail;
}

TEST_F(CaretakerTest, ErrorsOfAnEarlierStepDoNotCount) {
  begin({.error_rate = 0.5});
  answer(100, true);  // before the caretaker looked for the first time
  auto care = caretaker();
  care->look();
  answer(40, false);
  now += 600;
  care->look();
  EXPECT_EQ(share(), 0.5);
}

TEST_F(CaretakerTest, AStepSurvivesARestartAndIsCaughtUp) {
  begin({});
  {
    auto care = caretaker();
    care->look();
    answer(30, false);
    now += 600;
    care->look();
    EXPECT_EQ(share(), 0.5);
  }
  // A crash between the plan and the registry: the registry has the former share.
  registry = opened();
  registry->set_trial("mood", {2, 0.01, false});
  auto care = caretaker();
  care->look();
  EXPECT_EQ(share(), 0.5);
  now += 600;
  care->look();
  EXPECT_EQ(share(), 0.5) << "requests count from the restart";
  answer(30, false);
  care->look();
  EXPECT_EQ(share(), 1);
}

TEST_F(CaretakerTest, AnEndThatACrashInterruptedIsFinished) {
  begin({});
  {
    Database database = state->open();
    const TrialPlan plan = *TrialPlans(database).find("mood");
    TrialPlan ending = plan;
    ending.phase = TrialPlan::Phase::kEnding;
    ASSERT_TRUE(TrialPlans(database).advance(plan, ending));
    EXPECT_FALSE(TrialPlans(database).advance(plan, ending)) << "only one server advances a plan";
  }
  registry = opened();
  ASSERT_NE(registry->find("mood")->candidate, nullptr);
  caretaker()->look();
  EXPECT_EQ(registry->find("mood")->candidate, nullptr);
  EXPECT_EQ(plans(), 0U);
}

TEST_F(CaretakerTest, AVersionThatCannotBeLoadedAnyMoreEndsItsTrial) {
  begin({});
  auto care = caretaker();
  reach_last_step(*care);
  std::ofstream(folder.path() / "models/mood/2/broken") << "";
  answer(30, false);
  now += 600;
  care->look();
  EXPECT_EQ(registry->find("mood")->version, 1);
  EXPECT_EQ(registry->find("mood")->candidate, nullptr);
  EXPECT_EQ(actions().front(), "trial.end");
}

TEST_F(CaretakerTest, APassingErrorEndsNoTrial) {
  begin({});
  auto care = caretaker();
  reach_last_step(*care);
  const fs::path unreadable = folder.path() / "models/mood/2/unreadable";
  std::ofstream(unreadable) << "";
  answer(30, false);
  now += 600;
  for (int round = 0; round < 3; ++round) care->look();
  EXPECT_EQ(registry->find("mood")->version, 1);
  EXPECT_EQ(share(), 1) << "the trial goes on";
  EXPECT_EQ(plans(), 1U);
  Database database = state->open();
  EXPECT_EQ(audit_entries(database, {.action = "trial.fail"}).size(), 1U) << "noted once";
  EXPECT_TRUE(audit_entries(database, {.action = "trial.end"}).empty());
  fs::remove(unreadable);
  care->look();
  EXPECT_EQ(registry->find("mood")->version, 2) << "the next round has promoted it";
  EXPECT_EQ(plans(), 0U);
}

TEST_F(CaretakerTest, AServerThatHasNotFollowedYetLeavesAPlanAlone) {
  auto other = opened();
  begin({});
  registry.swap(other);
  ASSERT_EQ(registry->find("mood")->candidate, nullptr);
  caretaker()->look();
  EXPECT_EQ(plans(), 1U);
}

TEST_F(CaretakerTest, ATrialEndedByHandLeavesNoPlan) {
  begin({});
  registry->remove_trial("mood");
  caretaker()->look();
  EXPECT_EQ(plans(), 0U);
  EXPECT_EQ(actions(), std::vector<std::string>{"trial.abandon"});
}

TEST_F(CaretakerTest, APlanThatThrowsHoldsUpNoOtherAndIsTriedAgain) {
  begin({});
  Database database = state->open();
  // A plan of another qing, before that of "mood" in the round.
  database.run(
      "INSERT INTO trial_plans VALUES('alpha', 2, '{\"steps\":[0.5],\"minutes_each\":1,\"requests_each\":1,"
      "\"rollback\":{}}', 0, 1, 'resting', '', 'k', 'b')");
  auto care = caretaker();
  for (int round = 0; round < 3; ++round) care->look();
  answer(30, false);
  now += 600;
  care->look();
  EXPECT_EQ(share(), 0.5) << "the other plan goes on";
  const auto entries = audit_entries(database, {.action = "trial.fail"});
  ASSERT_EQ(entries.size(), 1U) << "noted once";
  EXPECT_EQ(entries[0].object, "alpha");
  database.run("UPDATE trial_plans SET phase = 'ending' WHERE model = 'alpha'");
  care->look();
  EXPECT_EQ(plans(), 1U) << "it was tried again";
}

TEST_F(CaretakerTest, ARetrainingThatThrowsHoldsUpNoOtherAndIsTriedAgain) {
  Database database = state->open();
  for (const char* project : {"a", "b"}) {
    RetrainingPlans(database).put({"mood", project, "key", 3600, 1, 1000, 0});
    FeedbackStore(database).add({.project = project, .model = "mood", .version = 1, .request = "r", .text = "a text"});
  }
  now = 10'000;
  bool full = true;
  std::vector<std::string> trained;
  Caretaker care(
      state, {*registry, drift, versions, statistics}, nullptr,
      [&](Database&, const RetrainingPlan& plan, const std::vector<Feedback>&,
          const Caretaker::Take& take) -> std::string {
        if (full && plan.project == "a") throw std::bad_alloc();
        if (!take()) return {};
        trained.push_back(plan.project);
        return "ftjob-1";
      },
      [this] { return now; });
  care.look();
  EXPECT_EQ(trained, std::vector<std::string>{"b"});
  now += 60;
  care.look();
  ASSERT_EQ(audit_entries(database, {.action = "retraining.fail"}).size(), 1U);
  EXPECT_EQ(audit_entries(database, {.action = "retraining.fail"})[0].project, "a");
  full = false;
  now += 60;
  care.look();
  EXPECT_EQ(trained, (std::vector<std::string>{"b", "a"}));
  now += 3000;
  care.look();
  EXPECT_EQ(trained.size(), 2U);
}

TEST_F(CaretakerTest, ARetrainingPlanThatIsRemovedMeanwhileStaysRemoved) {
  Database database = state->open();
  RetrainingPlans(database).put({"mood", "a", "key", 3600, 1, 1000, 0});
  FeedbackStore(database).add({.project = "a", .model = "mood", .version = 1, .request = "r", .text = "a text"});
  now = 10'000;
  Caretaker care(
      state, {*registry, drift, versions, statistics}, nullptr,
      [&](Database& same, const RetrainingPlan& plan, const std::vector<Feedback>&,
          const Caretaker::Take& take) -> std::string {
        RetrainingPlans(same).remove(plan.model, plan.project);
        EXPECT_FALSE(take());
        return {};
      },
      [this] { return now; });
  care.look();
  EXPECT_FALSE(RetrainingPlans(database).find("mood", "a"));
  EXPECT_TRUE(audit_entries(database, {.action = "retraining.start"}).empty());
}

TEST_F(CaretakerTest, FilesWhoseTimeIsOverAreRemovedABoundedNumberAtATime) {
  Database database = state->open();
  FileStore store(database, *state);
  std::vector<std::string> ids;
  for (size_t i = 0; i < Caretaker::kMostExpired + 5; ++i) {
    Upload upload(state->files());
    upload.write("x");
    ids.push_back(store.create({"a", "x", "batch", 3600}, upload, 1 << 20).id);
  }
  Upload upload(state->files());
  upload.write("y");
  const StoredFile kept = store.create({"a", "y", "batch"}, upload, 1 << 20);
  auto care = caretaker();
  now = kept.created + 3000;
  care->look();
  EXPECT_EQ(test::names_in(state->files()).size(), ids.size() + 1) << "not yet";
  now = kept.created + 3700;
  care->look();
  EXPECT_EQ(test::names_in(state->files()).size(), 6U);
  care->look();
  EXPECT_EQ(test::names_in(state->files()).size(), 6U) << "once in a while";
  now += Caretaker::kReportSeconds;
  care->look();
  EXPECT_EQ(test::names_in(state->files()), std::vector<std::string>{kept.id});
  EXPECT_EQ(database.number("SELECT count(*) FROM files"), 1);
  EXPECT_EQ(database.number("SELECT count(*) FROM audit WHERE action = 'file.expire' AND project = 'a'"),
            static_cast<std::int64_t>(ids.size()));
}

TEST_F(CaretakerTest, FilesThatCannotBeRemovedHoldUpNoOthers) {
  Database database = state->open();
  FileStore store(database, *state);
  const auto put = [&] {
    Upload upload(state->files());
    upload.write("x");
    return store.create({"a", "x", "batch", 3600}, upload, 1 << 20);
  };
  std::vector<fs::path> in_the_way;
  std::int64_t expires = 0;
  for (size_t i = 0; i < Caretaker::kMostExpired + 1; ++i) {
    const StoredFile file = put();
    expires = file.expires;
    // A folder that is not empty cannot be replaced by the file.
    in_the_way.push_back(state->files() / ("removed-" + file.id));
    fs::create_directories(in_the_way.back() / "x");
  }
  database.run("UPDATE files SET expires = expires - 100");
  const StoredFile last = put();
  auto care = caretaker();
  now = expires + 3700;
  const auto left = [&] { return database.number("SELECT count(*) FROM files"); };
  care->look();
  EXPECT_EQ(left(), static_cast<std::int64_t>(in_the_way.size()) + 1);
  now += Caretaker::kReportSeconds;
  care->look();
  EXPECT_FALSE(fs::exists(store.content(last.id)));
  EXPECT_EQ(left(), static_cast<std::int64_t>(in_the_way.size()));
  EXPECT_EQ(audit_entries(database, {.action = "file.fail"}).size(), 1U) << "noted once";
  for (const fs::path& path : in_the_way) fs::remove_all(path);
  for (int round = 0; round < 2; ++round) {
    now += Caretaker::kReportSeconds;
    care->look();
  }
  EXPECT_EQ(left(), 0) << "it comes back to them";
}

TEST_F(CaretakerTest, AClockThatIsSetBackDelaysNothingByMoreThanAStep) {
  constexpr std::int64_t kDay = 86'400;
  now = 10 * kDay;
  begin({});
  Database database = state->open();
  database.prepare("UPDATE trial_plans SET step_started = ?").bind_all(now).run();
  RetrainingPlans(database).put({"mood", "a", "key", 3600, 1, now, 0});
  FeedbackStore(database).add({.project = "a", .model = "mood", .version = 1, .request = "r", .text = "a text"});
  int trained = 0;
  Caretaker care(
      state, {*registry, drift, versions, statistics}, nullptr,
      [&](Database&, const RetrainingPlan&, const std::vector<Feedback>&, const Caretaker::Take& take) {
        trained += take() ? 1 : 0;
        return std::string("ftjob-1");
      },
      [this] { return now; });
  care.look();
  now -= kDay;
  care.look();
  answer(30, false);
  EXPECT_EQ(share(), 0.01) << "the step does not end at once";
  EXPECT_EQ(trained, 0);
  now += 600;
  care.look();
  EXPECT_EQ(share(), 0.5) << "the step lasts its time from then on";
  EXPECT_EQ(trained, 0) << "too early";
  now += 3600;
  care.look();
  EXPECT_EQ(trained, 1);
}

}  // namespace
}  // namespace qing::serve
