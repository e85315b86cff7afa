// A job runner over a state folder, with a script in place of the worker.
#pragma once

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

#include "../nn/temp_folder.h"
#include "serve_fixture.h"
#include "small_disk.h"

namespace qing::serve {

class JobRunnerTest : public ::testing::Test {
 protected:
  JobRunnerTest() {
    std::filesystem::create_directories(folder.path() / "models/mood/1");
    std::filesystem::create_directories(made() / "run");
    std::ofstream(made() / "weights") << "abc";
    cli::RunRecord record;
    record.state = "finished";
    cli::write_record(made() / "run/run.json", record);
    write_manifest(made());
    registry = std::make_shared<Registry>(
        folder.path() / "models",
        [this](const std::filesystem::path& path) {
          const bool bad = path.string().find("ft-bad") != std::string::npos;
          if (bad) ++reads_of_bad;
          if (bad || (not_a_model && path.string().find("ft-") != std::string::npos)) {
            throw DataError(path.string() + ": its weights have another shape");
          }
          if (path.string().find("ft-") != std::string::npos) {
            const int left = failing_reads.fetch_sub(1);
            if (left == 2) throw std::bad_alloc();
            if (left == 1) throw IoError("too many open files");
          }
          if (no_memory && path.string().find("ft-") != std::string::npos &&
              path.string().find("-good-") == std::string::npos) {
            throw IoError("too many open files");
          }
          return std::make_shared<FakeClassifier>();
        },
        state->models());
    registry->load();
    database.emplace(state->open());
    Upload upload(state->files());
    upload.write("label\ttext\npositive\tgood\nnegative\tbad\n");
    file = FileStore(*database, *state).create({"a", "x.tsv", "fine-tune"}, upload, 1 << 20).id;
    options.rest = std::chrono::milliseconds(20);
    options.attempts = 1;
  }
  std::filesystem::path made() const { return folder.path() / "made"; }  // the model that the worker makes
  // A worker whose stage "train" makes a model and then runs `more` in the job's folder.
  void work(const std::string& more = "") {
    const std::filesystem::path script = folder.write(
        "worker",
        fmt::format("#!/bin/sh\ncd \"$4\" || exit 1\n"
                    "if [ \"$2\" = prepare ]; then\n"
                    "  echo "
                    "'{{\"hyperparameters\":{{}},\"steps\":1,\"training_texts\":2,\"validation_texts\":0,\"labels\":[],"
                    "\"problem\":\"single-label\"}}' "
                    "> plan.json\n  exit 0\nfi\n"
                    "cp -r '{}' model || exit 1\necho 'step,loss' > results.csv\necho '{{\"trained_tokens\":5}}' > "
                    "outcome.json\n"
                    "{}\nexit 0\n",
                    made().string(), more));
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    options.worker = script;
    runner = std::make_unique<JobRunner>(state, registry, options);
  }
  TrainingJob add(const std::string& suffix) {
    return JobStore(*database).create({.project = "a", .base = "scratch", .training_file = file}, suffix, {}, {});
  }
  TrainingJob now(const TrainingJob& job) { return *JobStore(*database).find(job.id); }
  static void wait(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) FAIL() << "nothing came of it";
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  // As if the time had passed since all that has happened.
  void pass(std::chrono::seconds time) {
    database->prepare("UPDATE job_events SET created = created - ?").bind_all(time.count()).run();
  }
  void wait_for(const TrainingJob& job, JobStatus status) {
    wait([&] { return now(job).status == status; });
  }
  bool warned(const TrainingJob& job) {
    return std::ranges::any_of(JobStore(*database).events_after(job.id, 0, 100),
                               [](const JobEvent& event) { return event.level == "warn"; });
  }
  // Starts a job whose trained model cannot be loaded now, and waits until the job is put off.
  TrainingJob add_unlucky() {
    no_memory = true;
    work();
    TrainingJob job = add("unlucky");
    runner->start();
    wait([&] { return warned(job); });
    return job;
  }
  // Only the trained model is left of a failed job, in the job's folder, and it is not served.
  void expect_kept(const TrainingJob& job) {
    wait([&] { return test::names_in(work_folder(job)) == std::vector<std::string>{"model"}; });
    EXPECT_EQ(test::content_of(work_folder(job) / "model/weights"), "abc");
    EXPECT_NO_THROW(check_manifest(work_folder(job) / "model"));
    EXPECT_FALSE(std::filesystem::exists(model(job)));
    EXPECT_FALSE(registry->find(job.model));
    EXPECT_EQ(database->number("SELECT count(*) FROM models"), 0);
  }
  std::filesystem::path model(const TrainingJob& job) const { return state->models() / job.model; }
  std::filesystem::path work_folder(const TrainingJob& job) const { return state->jobs() / job.id; }

  test::TempFolder folder;
  const std::shared_ptr<const State> state = std::make_shared<const State>(folder.path() / "state");
  std::atomic<bool> no_memory = false, not_a_model = false;
  std::atomic<int> failing_reads = 0, reads_of_bad = 0;
  std::shared_ptr<Registry> registry;
  std::optional<Database> database;
  std::string file;
  JobOptions options;
  std::unique_ptr<JobRunner> runner;
};

}  // namespace qing::serve
