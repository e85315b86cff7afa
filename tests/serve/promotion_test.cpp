// A promotion whose last step fails: the answer, the registry, its files and the records agree that nothing has
// changed.
#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/maintenance/promotion_store.h>
#include <qing/serve/maintenance/trial_plan.h>
#include <qing/serve/state/state.h>

#include "nn/temp_folder.h"
#include "serve/serve_fixture.h"
#include "small_disk.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

class PromotionTest : public ServeTest {
 protected:
  PromotionTest() {
    for (const fs::path& version : {root() / "mood/1", root() / "mood/2", state.models() / "ft/1"}) {
      fs::create_directories(version);
      std::ofstream(version / "weights") << "abc";
    }
    options.state = state.folder();
    registry = opened();
    registry->load("mood", 1);
    server = std::make_unique<Server>(options, registry);
    server->start();
  }
  fs::path root() const { return folder.path() / "root"; }
  std::shared_ptr<Registry> opened() {
    auto made = std::make_shared<Registry>(
        root(),
        [this](const fs::path& path) {
          // Without its mark, a version cannot be kept.
          if (unkept) {
            fs::remove(mark_of(path.parent_path(), *version_of_name(path.filename().string())));
            if (meanwhile) meanwhile();
          }
          return std::make_shared<FakeClassifier>();
        },
        state.models());
    made->load();
    return made;
  }
  RawResponse promote(const std::string& body) { return ask(post(body, "", "/v1/admin/models/mood/promote")); }
  void expect_as_before() {
    for (const auto& one : {registry, opened()}) {
      const Model model = *one->find("mood");
      EXPECT_EQ(model.version, 1);
      EXPECT_EQ(model.versions, (std::vector<std::int64_t>{1, 2}));
      EXPECT_FALSE(one->find("mood", 3));
    }
    EXPECT_FALSE(fs::exists(state.models() / "mood/3"));
    Database database = state.open();
    const std::vector<Promotion> promotions = PromotionStore(database).of("mood", 10);
    ASSERT_EQ(promotions.size(), 1U);
    EXPECT_EQ(promotions[0].version, 0);
  }

  test::TempFolder folder;
  const State state{folder.path() / "state"};
  std::atomic<bool> unkept = false;
  std::function<void()> meanwhile;  // what another server does while the version is loaded
};

TEST_F(PromotionTest, AVersionThatCannotBeKeptIsNotChosen) {
  const auto answering = registry->find("mood")->classifier;
  unkept = true;
  EXPECT_EQ(promote(R"({"from":"ft"})").status, 500);
  unkept = false;
  expect_as_before();
  EXPECT_EQ(registry->find("mood")->classifier, answering) << "it is not read again";
  EXPECT_EQ(registry->find("mood")->previous, 2);
  EXPECT_EQ(registry->rollback("mood").version, 2);
  registry->load("mood", 1);
  EXPECT_EQ(promote(R"({"from":"ft"})").status, 200);
  EXPECT_EQ(registry->find("mood")->version, 3);
  EXPECT_EQ(opened()->find("mood")->version, 3);
}

TEST_F(PromotionTest, AVersionThatCannotBeKeptReplacesNoTrial) {
  registry->set_trial("mood", {2, 0.25, false, true});
  TrialPlan plan{.model = "mood", .version = 2, .steps = {0.25, 1}, .key = "k", .project = "a"};
  plan.step_started = static_cast<std::int64_t>(std::time(nullptr));
  Database database = state.open();
  TrialPlans(database).put(plan);
  for (const char* body :
       {R"({"from":"ft"})", R"({"from":"ft","trial":{"share":0.5}})", R"({"from":"ft","trial":{"steps":[0.5,1]}})"}) {
    database.run("DELETE FROM promotions");
    unkept = true;
    EXPECT_EQ(promote(body).status, 500) << body;
    unkept = false;
    expect_as_before();
    for (const auto& one : {registry, opened()}) {
      EXPECT_EQ(one->find("mood")->trial, (Trial{2, 0.25, false, true})) << body;
      EXPECT_TRUE(one->find("mood")->candidate) << body;
    }
    const std::optional<TrialPlan> kept = TrialPlans(database).find("mood");
    ASSERT_TRUE(kept) << body;
    EXPECT_EQ(kept->version, 2) << body;
    EXPECT_EQ(kept->steps, plan.steps) << body;
    EXPECT_EQ(kept->key, "k") << body;
  }
}

TEST_F(PromotionTest, AVersionThatCannotBeKeptLeavesWhatOthersHaveChangedMeanwhile) {
  Database database = state.open();
  // The server looks after its trials while this runs: it keeps plans of trials that are on and whose step is not over.
  registry->set_trial("mood", {2, 0.25, false, true});
  TrialPlan plan{.model = "mood", .version = 2, .steps = {0.25, 1}, .key = "k", .project = "a"};
  plan.step_started = static_cast<std::int64_t>(std::time(nullptr));
  TrialPlans(database).put(plan);
  meanwhile = [&] {
    Database other = state.open();
    plan.key = "other";
    plan.steps = {0.25, 0.5, 1};
    TrialPlans(other).put(plan);
  };
  unkept = true;
  EXPECT_EQ(promote(R"({"from":"ft"})").status, 500);
  unkept = false;
  expect_as_before();
  const std::optional<TrialPlan> kept = TrialPlans(database).find("mood");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->key, "other");
}

TEST_F(PromotionTest, APlanThatCannotBeReadLeavesNoPromotion) {
  Database database = state.open();
  TrialPlans(database).put({.model = "mood", .version = 2, .steps = {0.25, 1}, .key = "k", .project = "a"});
  database.run("UPDATE trial_plans SET phase = 'of another qing'");
  EXPECT_EQ(promote(R"({"from":"ft"})").status, 422);
  expect_as_before();
  EXPECT_EQ(database.number("SELECT count(*) FROM trial_plans"), 1);
}

}  // namespace
}  // namespace qing::serve
