// Jobs: each change of status is allowed from certain ones alone, a key makes one job, pages and events are in order,
// and no project sees another's.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <qing/serve/jobs/job_json.h>
#include <qing/serve/jobs/job_store.h>
#include <qing/serve/jobs/model_owners.h>
#include <qing/serve/registry/registry.h>
#include <qing/tensor/errors.h>

#include "../nn/temp_folder.h"

namespace qing::serve {
namespace {

using enum JobStatus;

class JobStoreTest : public testing::Test {
 protected:
  TrainingJob make(const std::string& project = "a", const std::string& key = "", const std::string& request = "r") {
    TrainingJob job;
    job.project = project;
    job.base = "scratch";
    job.training_file = "file-1";
    return store.create(job, "", key, request);
  }
  // Brings a new job into a status.
  TrainingJob in(JobStatus status) {
    const TrainingJob job = make();
    if (status != kValidating) store.validated(job.id, "{}", 10, "");
    if (status == kRunning || status == kSucceeded) store.advance(job.id, {kQueued}, kRunning, "");
    if (status == kPaused) store.advance(job.id, {kQueued}, kPaused, "");
    if (status == kSucceeded) store.succeed(job);
    if (status == kFailed) store.fail(job.id, {"code", "message", ""});
    if (status == kCancelled) store.advance(job.id, {kQueued}, kCancelled, "");
    EXPECT_EQ(store.status(job.id), status) << status_name(status);
    return *store.find(job.id);
  }

  test::TempFolder temp;
  State state{temp.path() / "state"};
  Database database = state.open();
  JobStore store{database};
};

TEST_F(JobStoreTest, ANewJobIsValidated) {
  const TrainingJob job = make();
  EXPECT_EQ(job.status, kValidating);
  EXPECT_EQ(job.id.size(), std::string("ftjob-").size() + 24);
  EXPECT_TRUE(is_model_name(job.model)) << job.model;
  EXPECT_GT(job.created, 1'700'000'000);
  EXPECT_TRUE(store.validated(job.id, R"({"n_epochs":3})", 12, "found"));
  const TrainingJob now = *store.find("a", job.id);
  EXPECT_EQ(now.status, kQueued);
  EXPECT_EQ(now.steps, 12);
  EXPECT_EQ(now.hyperparameters, R"({"n_epochs":3})");
  EXPECT_FALSE(store.validated(job.id, "{}", 1, "")) << "it was validated before";
}

TEST_F(JobStoreTest, AChangeIsRefusedInAnyOtherStatus) {
  const std::vector<JobStatus> all = {kValidating, kQueued, kRunning, kPaused, kSucceeded, kFailed, kCancelled};
  for (const JobStatus status : all) {
    const std::string id = in(status).id;
    const size_t events = store.events(id, 0, 100).items.size();
    EXPECT_FALSE(store.advance(id, {}, kCancelled, "nothing"));
    EXPECT_EQ(store.events(id, 0, 100).items.size(), events) << "a refused change has an event";
    const bool running = status == kRunning;
    EXPECT_EQ(store.succeed(*store.find(id)), running) << status_name(status);
    if (running) { EXPECT_EQ(store.status(id), kSucceeded); }
  }
  for (const JobStatus status : all) {
    const std::string id = in(status).id;
    EXPECT_EQ(store.fail(id, {"c", "m", "p"}), !is_final(status) && status != kPaused) << status_name(status);
  }
}

TEST_F(JobStoreTest, TheEndOfAJobIsDated) {
  const TrainingJob job = in(kRunning);
  EXPECT_EQ(job.finished, 0);
  store.progress(job.id, 5, 2'000'000'000, {});
  EXPECT_EQ(store.find(job.id)->estimated_finish, 2'000'000'000);
  store.fail(job.id, {"memory_limit", "too much", "batch_size"});
  const TrainingJob failed = *store.find(job.id);
  EXPECT_GE(failed.finished, failed.created);
  EXPECT_EQ(failed.estimated_finish, 0);
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.error->code, "memory_limit");
  EXPECT_EQ(failed.error->param, "batch_size");
  EXPECT_EQ(store.events(job.id, 0, 1).items.front().level, "error");
}

TEST_F(JobStoreTest, AnIdempotencyKeyMakesOneJob) {
  const TrainingJob first = make("a", "key");
  EXPECT_EQ(make("a", "key").id, first.id);
  EXPECT_NE(make("b", "key").id, first.id) << "keys of two projects are apart";
  EXPECT_THROW(make("a", "key", "another request"), ValueError);
  EXPECT_NE(make("a").id, make("a").id);
}

TEST_F(JobStoreTest, PagesAreOfOneProjectAndTheNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.insert(ids.begin(), make("a").id);
  make("b");
  std::vector<std::string> seen;
  for (std::string after;;) {
    const auto page = store.list("a", after, 2, {});
    for (const TrainingJob& job : page.items) seen.push_back(job.id);
    after = seen.back();
    if (!page.more) break;
  }
  EXPECT_EQ(seen, ids);
  EXPECT_FALSE(store.find("b", ids.front()));
  EXPECT_THROW(store.list("b", ids.front(), 2, {}), ValueError);
}

TEST_F(JobStoreTest, MetadataFiltersWholeValues) {
  TrainingJob job;
  job.project = "a";
  job.base = "scratch";
  job.metadata = R"({"team":"x\"y","round":"1"})";
  const std::string id = store.create(job, "", "", "").id;
  EXPECT_EQ(store.list("a", "", 10, {{"team", "x\"y"}}).items.size(), 1U);
  EXPECT_EQ(store.list("a", "", 10, {{"team", "x\"y"}, {"round", "2"}}).items.size(), 0U);
  EXPECT_EQ(store.list("a", "", 10, {{"team", "x"}}).items.size(), 0U);
}

TEST_F(JobStoreTest, EventsCountUpInEachJob) {
  const TrainingJob job = make(), other = make();
  store.tell(other.id, "info", "");
  for (int i = 0; i < 3; ++i) store.tell(job.id, "info", std::to_string(i));
  const auto page = store.events(job.id, 0, 2);
  EXPECT_TRUE(page.more);
  ASSERT_EQ(page.items.size(), 2U);
  EXPECT_EQ(page.items[0].number, page.items[1].number + 1);
  EXPECT_EQ(store.events_after(job.id, page.items[1].number, 10).size(), 1U);
  const std::string id = event_id(job.id, 3);
  EXPECT_EQ(event_number(job.id, id), 3);
  EXPECT_EQ(event_number(other.id, id), 0) << "an event of another job";
  EXPECT_EQ(event_number(job.id, id + "x"), 0);
}

TEST_F(JobStoreTest, WhatWasBegunComesFirst) {
  const std::string first = in(kQueued).id, second = in(kRunning).id, third = in(kQueued).id;
  in(kPaused);
  EXPECT_EQ(store.waiting({kRunning, kQueued}), (std::vector<std::string>{second, first, third}));
}

TEST_F(JobStoreTest, AModelsNameIsValid) {
  EXPECT_EQ(model_name("scratch", "my try", "ftjob-xxxxABCDEFGH"), "ft-scratch-my-try-abcdefgh");
  const std::string longest = model_name(std::string(128, 'b'), std::string(64, 's'), "ftjob-12345678");
  EXPECT_TRUE(is_model_name(longest)) << longest;
  EXPECT_TRUE(longest.ends_with(std::string(64, 's') + "-12345678"));
  EXPECT_TRUE(is_model_name(model_name("模型", "试", "ftjob-12345678")));
}

TEST_F(JobStoreTest, AnotherProcessSeesWhoseAModelIs) {
  ModelOwners here(std::make_shared<const State>(state)), there(std::make_shared<const State>(state));
  here.claim(database, "ft-a", "a", "ftjob-1");
  EXPECT_EQ(here.of("ft-a"), "a");
  EXPECT_FALSE(there.of("ft-a"));
  there.refresh();
  EXPECT_EQ(there.of("ft-a"), "a");
  here.release(database, "ft-a");
  EXPECT_FALSE(here.of("ft-a"));
  there.refresh();
  EXPECT_EQ(there.of("ft-a"), "a") << "that process may still serve it";
  EXPECT_EQ(there.released(), std::vector<std::string>{"ft-a"});
  there.drop("ft-a");
  EXPECT_FALSE(there.of("ft-a"));
}

TEST_F(JobStoreTest, AProjectHasNoMoreUnfinishedJobsThanItMay) {
  const auto make_within = [this](const std::string& project, size_t most, const std::string& key = "") {
    TrainingJob job;
    job.project = project;
    job.base = "scratch";
    return store.create(job, "", key, "r", "", most);
  };
  in(kValidating), in(kQueued), in(kRunning), in(kPaused);
  in(kSucceeded), in(kFailed), in(kCancelled);  // these do not count
  const TrainingJob last = make_within("a", 5, "once");
  EXPECT_THROW(make_within("a", 5), TooManyJobs);
  EXPECT_THROW(store.require_room("a", 5), TooManyJobs);
  try {
    make_within("a", 5);
  } catch (const TooManyJobs& error) {
    EXPECT_NE(std::string(error.what()).find("5 unfinished jobs and may have 5"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("--unfinished-jobs"), std::string::npos) << error.what();
  }
  EXPECT_EQ(make_within("a", 5, "once").id, last.id) << "a repeated request makes no job";
  EXPECT_EQ(make_within("b", 5).project, "b") << "each project has its own";
  EXPECT_NO_THROW(store.require_room("a", 6));
  make_within("a", 0);  // no limit
  EXPECT_EQ(store.usage("a").jobs, 9);
  store.advance(last.id, {kValidating}, kCancelled, "");
  EXPECT_THROW(make_within("a", 5), TooManyJobs);
  EXPECT_EQ(make_within("a", 6).status, kValidating);
}

TEST_F(JobStoreTest, JobsAreCountedByStatus) {
  EXPECT_EQ(store.count(kQueued), 0);
  in(kQueued), in(kQueued), in(kRunning);
  make("b");
  EXPECT_EQ(store.count(kQueued), 2);
  EXPECT_EQ(store.count(kRunning), 1);
  EXPECT_EQ(store.count(kValidating), 1);
}

}  // namespace
}  // namespace qing::serve
