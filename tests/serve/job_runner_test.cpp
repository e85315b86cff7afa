// What the runner keeps and removes when a step of a job fails, with a script in place of the worker.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/registry/model_manifest.h>
#include <qing/serve/runs/run_record.h>
#include <qing/tensor/errors.h>

#include "job_runner_fixture.h"
#include "small_disk.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;

TEST_F(JobRunnerTest, ATrainedModelIsKeptWhenItCannotBeLoadedNow) {
  no_memory = true;
  work();
  const TrainingJob job = add("unlucky"), next = add("good");
  runner->start();
  wait([&] { return warned(job); });
  wait_for(next, JobStatus::kSucceeded);
  EXPECT_EQ(now(job).status, JobStatus::kRunning) << "it is tried again, and holds up no other job";
  EXPECT_EQ(test::content_of(model(job) / "1/weights"), "abc");
  no_memory = false;
  wait_for(job, JobStatus::kSucceeded);
  EXPECT_EQ(test::content_of(model(job) / "1/weights"), "abc");
  EXPECT_TRUE(registry->find(job.model));
  wait([&] { return !fs::exists(work_folder(job)); });
}

TEST_F(JobRunnerTest, ATrainedModelOutlastsARestart) {
  const TrainingJob job = add_unlucky();
  runner.reset();
  EXPECT_EQ(now(job).status, JobStatus::kRunning);
  no_memory = false;
  work();
  runner->start();
  wait_for(job, JobStatus::kSucceeded);
  EXPECT_EQ(now(job).failures, 0);
  EXPECT_EQ(test::content_of(model(job) / "1/weights"), "abc");
}

TEST_F(JobRunnerTest, AJobThatIsCancelledWhileItWaitsLeavesNoModel) {
  const TrainingJob job = add_unlucky();
  ASSERT_TRUE(JobStore(*database).advance(job.id, {JobStatus::kRunning}, JobStatus::kCancelled, "cancelled"));
  wait([&] { return !fs::exists(work_folder(job)) && !fs::exists(model(job)); });
  EXPECT_EQ(database->number("SELECT count(*) FROM models"), 0);
}

TEST_F(JobRunnerTest, ADamagedModelFailsItsJob) {
  no_memory = true;
  work("echo more >> model/weights");
  const TrainingJob job = add("unlucky");
  runner->start();
  wait_for(job, JobStatus::kFailed);
  EXPECT_EQ(now(job).error->code, "model_damaged");
  EXPECT_FALSE(fs::exists(model(job)));
}

TEST_F(JobRunnerTest, AModelThatCanNeverBeServedFailsItsJobAndIsKept) {
  not_a_model = true;
  work();
  const TrainingJob job = add("unlucky");
  runner->start();
  wait_for(job, JobStatus::kFailed);
  ASSERT_TRUE(now(job).error);
  const JobError error = *now(job).error;
  EXPECT_EQ(error.code, "model_not_served");
  EXPECT_NE(error.message.find("its weights have another shape"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("jobs/" + job.id + "/model"), std::string::npos) << error.message;
  EXPECT_EQ(error.message.find(folder.path().string()), std::string::npos) << error.message;
  expect_kept(job);
  EXPECT_FALSE(warned(job)) << "it is not tried again";
  // The operator's way.
  not_a_model = false;
  fs::create_directories(folder.path() / "models/taken");
  fs::copy(work_folder(job) / "model", folder.path() / "models/taken/1", fs::copy_options::recursive);
  registry->rescan();
  EXPECT_TRUE(registry->find("taken"));
  runner.reset();
  database->prepare("UPDATE jobs SET finished = finished - ?").bind_all((JobRunner::kLogDays + 1) * 86'400).run();
  work();
  runner->start();
  wait([&] { return !fs::exists(work_folder(job)); });
}

TEST_F(JobRunnerTest, AJobThatCannotBeFinishedForHoursFailsAndItsModelIsKept) {
  const TrainingJob job = add_unlucky();
  // Another server goes on with the time.
  runner.reset();
  EXPECT_EQ(now(job).status, JobStatus::kRunning) << "not at once";
  pass(std::chrono::hours(25));
  work();
  runner->start();
  wait_for(job, JobStatus::kFailed);
  ASSERT_TRUE(now(job).error);
  EXPECT_EQ(now(job).error->code, "not_finished");
  expect_kept(job);
}

TEST_F(JobRunnerTest, AServerThatWasOffForTheTimeStillTries) {
  const TrainingJob job = add_unlucky();
  runner.reset();
  pass(std::chrono::hours(48));
  no_memory = false;
  failing_reads = 2;
  work();
  runner->start();
  wait([&] { return is_final(now(job).status); });
  EXPECT_EQ(now(job).status, JobStatus::kSucceeded);
  EXPECT_LE(failing_reads, 0);
}

TEST_F(JobRunnerTest, AModelOfAnotherServersJobIsTriedAgainUnlessItIsDamaged) {
  ModelOwners owners(state);
  for (const char* name : {"ft-bad", "ft-other"}) {
    fs::create_directories(state->models() / name / "1");
    owners.claim(*database, name, "a", "ftjob-other");
  }
  failing_reads = 2;
  work();
  runner->start();
  wait([&] { return registry->find("ft-other").has_value(); });
  EXPECT_LE(failing_reads, 0);
  EXPECT_EQ(reads_of_bad, 1);
}

TEST_F(JobRunnerTest, AModelWhoseRecordCannotBeReadNowIsKept) {
  work("mv model/run/run.json record; ln -s run.json model/run/run.json; echo 'a line'; exit 1");
  const TrainingJob job = add("unlucky");
  const JobFolder files(work_folder(job));
  runner->start();
  wait_for(job, JobStatus::kFailed);
  wait([&] { return test::names_in(work_folder(job)) == std::vector<std::string>{"log.txt", "model"}; });
  EXPECT_EQ(test::content_of(files.model() / "weights"), "abc");
  EXPECT_TRUE(files.has_model());
  runner.reset();
  fs::remove(files.model() / "run/run.json");
  EXPECT_FALSE(files.has_model());
  std::ofstream(files.model() / "run/run.json") << "{";
  EXPECT_FALSE(files.has_model());
}

TEST_F(JobRunnerTest, ADamagedOutcomeFailsItsJobAndTheModelIsKept) {
  work("echo '{}' > outcome.json");
  const TrainingJob job = add("unlucky");
  runner->start();
  wait_for(job, JobStatus::kFailed);
  ASSERT_TRUE(now(job).error);
  EXPECT_EQ(now(job).error->code, "outcome_damaged");
  expect_kept(job);
  EXPECT_FALSE(registry->find(job.model)) << "the model of a failed job is not served";
}

TEST_F(JobRunnerTest, ADamagedRegistryFileIsNoFaultOfTheModel) {
  const fs::path file = folder.path() / "models/.registry.json";
  for (const bool failed_before : {false, true}) {
    no_memory = failed_before;
    work();
    const TrainingJob job = add("unlucky");
    if (!failed_before) std::ofstream(file) << "{";
    runner->start();
    wait([&] { return warned(job); });
    std::ofstream(file) << "{";
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // of some attempts
    fs::remove(file);
    no_memory = false;
    wait([&] { return is_final(now(job).status); });
    EXPECT_EQ(now(job).status, JobStatus::kSucceeded) << failed_before;
  }
}

TEST_F(JobRunnerTest, TheEndOfAFailedJobsLogIsKeptForAWhile) {
  fs::remove_all(made());  // so that the training itself fails
  work();
  const std::string script = test::content_of(options.worker);
  std::ofstream(options.worker) << script.substr(0, script.find("cp -r"))
                                << "i=0\nwhile [ $i -lt 3000 ]; do echo 'a line of the log of this training'; "
                                   "i=$((i+1)); done\necho 'the last line'\nkill -SEGV $$\n";
  const TrainingJob job = add("unlucky");
  runner->start();
  wait_for(job, JobStatus::kFailed);
  wait([&] { return test::names_in(work_folder(job)) == std::vector<std::string>{"log.txt"}; });
  const std::string log = test::content_of(work_folder(job) / "log.txt");
  EXPECT_EQ(log.size(), JobRunner::kMostLog);
  EXPECT_NE(log.find("the last line"), std::string::npos) << log.substr(log.size() - 99);
  const JobError error = *now(job).error;
  EXPECT_EQ(error.code, "worker_ended");
  EXPECT_NE(error.message.find("log.txt"), std::string::npos) << "it names what there is";
  EXPECT_EQ(error.message.find('/'), std::string::npos) << error.message;
  runner.reset();
  database->prepare("UPDATE jobs SET finished = finished - ?").bind_all((JobRunner::kLogDays + 1) * 86'400).run();
  work();
  runner->start();
  wait([&] { return !fs::exists(work_folder(job)); });
}

TEST_F(JobRunnerTest, AFailureOfTheServerNamesTheServersLog) {
  work();
  options.worker = folder.path() / "none";
  runner = std::make_unique<JobRunner>(state, registry, options);
  const TrainingJob job = add("unlucky");
  runner->start();
  wait_for(job, JobStatus::kFailed);
  const JobError error = *now(job).error;
  EXPECT_EQ(error.code, "job_not_run");
  EXPECT_NE(error.message.find("server's log"), std::string::npos) << error.message;
  for (const JobEvent& event : JobStore(*database).events_after(job.id, 0, 100)) {
    EXPECT_EQ(event.message.find(folder.path().string()), std::string::npos) << event.message;
  }
  wait([&] { return !fs::exists(work_folder(job)); });
}

}  // namespace
}  // namespace qing::serve
