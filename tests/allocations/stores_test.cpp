// Files, jobs, feedback, the audit log and plans, with each memory allocation failing.
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_store.h>
#include <qing/serve/jobs/model_owners.h>
#include <qing/serve/maintenance/promotion_store.h>
#include <qing/serve/maintenance/retraining.h>
#include <qing/serve/maintenance/trial_plan.h>
#include <qing/serve/state/audit.h>
#include <qing/serve/state/feedback.h>

#include "failing_allocations.h"
#include "state_text.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::fail_each_allocation;
using test::Operation;
using test::Subject;

constexpr std::string_view kRows = "label\ttext\npositive\tgood\nnegative\tbad\n";
constexpr std::uint64_t kPlenty = std::numeric_limits<std::uint64_t>::max();

// An open state, as a server has it.
struct Opened {
  explicit Opened(const fs::path& folder)
      : state(folder / "state"), database(state.open()), files(database, state), jobs(database) {}
  StoredFile put(std::int64_t lifetime = 0) {
    Upload upload(state.files());
    upload.write(kRows);
    return files.create({"a", "a.tsv", "fine-tune", lifetime}, upload, kPlenty);
  }
  TrainingJob add_job(const std::string& key = {}) {
    return jobs.create({.project = "a", .base = "scratch"}, {}, key, "request");
  }
  std::string first_file() { return files.list("a", {}).files.at(0).id; }
  std::string first_job() { return jobs.list("a", {}, 10, {}).items.at(0).id; }

  State state;
  Database database;
  FileStore files;
  JobStore jobs;
};

using Act = std::function<void(Opened&)>;

// An operation on a state that `prepare` has filled.
Subject on_state(const std::string& name, const Act& prepare, const Act& act, bool reads = false) {
  return {
      .name = name,
      .prepare =
          [prepare](const fs::path& folder) {
            Opened opened(folder);
            prepare(opened);
          },
      .operation =
          [act](const fs::path& folder) {
            auto opened = std::make_shared<Opened>(folder);
            return Operation{[opened, act] { act(*opened); }, [folder] { return test::state_text(folder / "state"); }};
          },
      .reads = reads};
}

// An operation whose ids are chosen before, without a failure.
template <class Find>
Subject on_one(const std::string& name, const Act& prepare, Find find,
               const std::function<void(Opened&, const std::string&)>& act, bool reads = false) {
  Subject subject = on_state(name, prepare, {}, reads);
  subject.operation = [find, act](const fs::path& folder) {
    auto opened = std::make_shared<Opened>(folder);
    const std::string id = find(*opened);
    return Operation{[opened, act, id] { act(*opened, id); }, [folder] { return test::state_text(folder / "state"); }};
  };
  return subject;
}

const Act kFile = [](Opened& opened) { opened.put(); };
const Act kJob = [](Opened& opened) { opened.add_job(); };
const auto kFirstFile = [](Opened& opened) { return opened.first_file(); };
const auto kFirstJob = [](Opened& opened) { return opened.first_job(); };

TEST(FailingAllocations, OpeningAState) {
  fail_each_allocation({.name = "open",
                        .prepare = [](const fs::path&) {},
                        .operation =
                            [](const fs::path& folder) {
                              const auto made = [folder] {
                                return fs::exists(folder / "state/qing.db") ? test::state_text(folder / "state") : "";
                              };
                              return Operation{[folder] { State(folder / "state").open(); }, made};
                            }});
}

TEST(FailingAllocations, Files) {
  fail_each_allocation(on_state("files: create", kFile, [](Opened& opened) { opened.put(3600); }));
  fail_each_allocation(on_one(
      "files: get", kFile, kFirstFile,
      [](Opened& opened, const std::string& id) { EXPECT_TRUE(opened.files.get("a", id)); }, true));
  fail_each_allocation(on_state(
      "files: list", kFile, [](Opened& opened) { EXPECT_EQ(opened.files.list("a", {}).files.size(), 1U); }, true));
  fail_each_allocation(on_one("files: remove", kFile, kFirstFile, [](Opened& opened, const std::string& id) {
    EXPECT_TRUE(opened.files.remove("a", id));
  }));
  fail_each_allocation(on_state(
      "files: expire",
      [](Opened& opened) {
        opened.put();
        opened.put(3600);
        // Far in the future, so that the clean-up of a start does not remove it.
        opened.database.run("UPDATE files SET expires = 100000000000 WHERE expires <> 0");
      },
      [](Opened& opened) {
        FileStore::SweepPlace place;
        opened.files.remove_expired(100'000'000'001, 10, place);
      }));
}

TEST(FailingAllocations, Jobs) {
  fail_each_allocation(on_state("jobs: create", kFile, [](Opened& opened) { opened.add_job("key"); }));
  fail_each_allocation(on_one(
      "jobs: find and list", kJob, kFirstJob,
      [](Opened& opened, const std::string& id) {
        EXPECT_TRUE(opened.jobs.find("a", id));
        EXPECT_EQ(opened.jobs.list("a", {}, 10, {}).items.size(), 1U);
        EXPECT_FALSE(opened.jobs.events(id, 0, 10).items.empty());
        EXPECT_FALSE(opened.jobs.waiting({JobStatus::kValidating}).empty());
      },
      true));
  fail_each_allocation(on_one("jobs: validated", kJob, kFirstJob, [](Opened& opened, const std::string& id) {
    opened.jobs.validated(id, "{}", 9, "validated");
  }));
  const Act running = [](Opened& opened) {
    const std::string id = opened.add_job().id;
    opened.jobs.advance(id, {JobStatus::kValidating}, JobStatus::kRunning, "begun");
  };
  fail_each_allocation(on_one("jobs: pause", running, kFirstJob, [](Opened& opened, const std::string& id) {
    opened.jobs.advance(id, {JobStatus::kRunning}, JobStatus::kPaused, "paused", AuditEntry{.action = "job.pause"});
  }));
  fail_each_allocation(on_one("jobs: progress", running, kFirstJob, [](Opened& opened, const std::string& id) {
    JobEvent event;
    event.message = "step 5, which is a long message that no short string holds";
    opened.jobs.progress(id, 5, 0, {event});
  }));
  fail_each_allocation(on_one("jobs: fail", running, kFirstJob, [](Opened& opened, const std::string& id) {
    opened.jobs.fail(id, {"worker_ended", "The training process ended, and nobody knows why", {}});
  }));
  fail_each_allocation(on_one("jobs: succeed", running, kFirstJob, [](Opened& opened, const std::string& id) {
    opened.jobs.succeed({.id = id, .model = "ft-scratch", .trained_tokens = 7, .result_file = "file"});
  }));
  fail_each_allocation(on_one("jobs: attempt", running, kFirstJob, [](Opened& opened, const std::string& id) {
    if (opened.jobs.find(id)->failures == 0) opened.jobs.add_attempt(id, 10, true);
  }));
}

TEST(FailingAllocations, OwnersOfModels) {
  const auto owners = [](const Act& prepare, const std::string& name,
                         const std::function<void(ModelOwners&, Database&)>& act, bool reads = false) {
    Subject subject = on_state(name, prepare, {}, reads);
    subject.operation = [act](const fs::path& folder) {
      auto opened = std::make_shared<Opened>(folder);
      auto all = std::make_shared<ModelOwners>(std::make_shared<const State>(folder / "state"));
      return Operation{[=] { act(*all, opened->database); }, [folder] { return test::state_text(folder / "state"); }};
    };
    fail_each_allocation(subject);
  };
  const Act claimed = [](Opened& opened) {
    ModelOwners(std::make_shared<const State>(opened.state)).claim(opened.database, "ft-mood", "a", "ftjob-1");
  };
  owners(kJob, "owners: claim",
         [](ModelOwners& all, Database& database) { all.claim(database, "ft-mood", "a", "ftjob-1"); });
  owners(
      claimed, "owners: refresh",
      [](ModelOwners& all, Database&) {
        all.refresh();
        EXPECT_EQ(all.of("ft-mood"), "a");
      },
      true);
  owners(claimed, "owners: release", [](ModelOwners& all, Database& database) { all.release(database, "ft-mood"); });
}

TEST(FailingAllocations, FeedbackAndTheAuditLog) {
  const Feedback feedback{.project = "a",
                          .model = "mood",
                          .version = 1,
                          .request = "r",
                          .predicted = "positive",
                          .label = "positive",
                          .text = "a text"};
  const Act add = [feedback](Opened& opened) { FeedbackStore(opened.database).add(feedback); };
  fail_each_allocation(on_state("feedback: add", kFile, add));
  fail_each_allocation(on_state(
      "feedback: read", add,
      [](Opened& opened) {
        EXPECT_EQ(FeedbackStore(opened.database).kept("a", "mood", 0, 10).size(), 1U);
        EXPECT_EQ(FeedbackStore(opened.database).counts({}).size(), 1U);
      },
      true));
  fail_each_allocation(on_state("audit: record", kFile, [](Opened& opened) {
    record(opened.database, {.project = "a", .action = "model.load", .object = "mood", .detail = "version 3"});
  }));
  fail_each_allocation(on_state(
      "audit: read", kFile, [](Opened& opened) { EXPECT_FALSE(audit_entries(opened.database, {}).empty()); }, true));
}

TEST(FailingAllocations, Plans) {
  const TrialPlan plan{.model = "mood", .version = 2, .steps = {0.5, 1}, .limits = {.error_rate = 0.1}, .project = "a"};
  const RetrainingPlan retraining{"mood", "a", "key", 3600, 1, 1000, 0};
  const Act put = [=](Opened& opened) {
    TrialPlans(opened.database).put(plan);
    RetrainingPlans(opened.database).put(retraining);
    PromotionStore(opened.database).add({.model = "mood", .version = 2, .source = "ft", .project = "a"});
  };
  fail_each_allocation(on_state("plans: put", kFile, [=](Opened& opened) { TrialPlans(opened.database).put(plan); }));
  fail_each_allocation(on_state(
      "plans: read", put,
      [](Opened& opened) {
        EXPECT_TRUE(TrialPlans(opened.database).find("mood"));
        EXPECT_TRUE(RetrainingPlans(opened.database).find("mood", "a"));
        EXPECT_EQ(PromotionStore(opened.database).of("mood", 10).size(), 1U);
      },
      true));
  fail_each_allocation(on_state("plans: advance", put, [=](Opened& opened) {
    TrialPlan after = plan;
    after.phase = TrialPlan::Phase::kEnding;
    Transaction transaction(opened.database);
    EXPECT_TRUE(TrialPlans(opened.database).advance(plan, after));
    record(opened.database, {.project = "a", .action = "trial.end", .object = "mood"});
    transaction.commit();
  }));
  fail_each_allocation(on_state("promotions: withdraw", put, [](Opened& opened) {
    PromotionStore(opened.database).withdraw("mood", 2, "the version could not be served");
  }));
}

}  // namespace
}  // namespace qing::serve
