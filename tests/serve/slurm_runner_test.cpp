// What the runner makes of the ends of Slurm's jobs, with scripts in place of Slurm's commands.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include <fmt/format.h>

#include <qing/serve/jobs/job_runner.h>
#include <qing/tensor/files.h>

#include "fake_tools.h"
#include "job_runner_fixture.h"

namespace qing::serve {
namespace {

constexpr const char* kDown = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)";
constexpr const char* kGoesOn = "The job goes on from its last checkpoint";

class SlurmRunner : public JobRunnerTest {
 protected:
  SlurmRunner() {
    options.slurm = SlurmOptions{.look = std::chrono::milliseconds(10)};
    set("COMPLETED");
  }
  std::string at(const char* name) const { return (tools.path() / name).string(); }
  // The state of all jobs, as squeue has it.
  void set(const std::string& state) { write_file_atomically(at("state"), state); }
  // sbatch runs `training` at once in the job's folder, with the number of the job of Slurm in $n.
  void submit_to(const std::string& training) {
    tools.say("squeue", fmt::format("case \"$*\" in *--name*) ;; *) cat '{}';; esac", at("state")));
    tools.say("scancel", "exit 0");
    tools.say("sbatch",
              fmt::format("cat > /dev/null\n"
                          "for word in \"$@\"; do case $word in --chdir=*) cd \"${{word#*=}}\";; esac; done\n"
                          "echo x >> '{0}'; n=$(wc -l < '{0}')\n"
                          "end() {{ echo \"{{\\\"cluster_job\\\":\\\"$n\\\",\\\"code\\\":$1}}\" > end.json; }}\n"
                          "done_training() {{ rm -rf model; cp -r '{1}' model; echo step,loss > results.csv\n"
                          "  echo '{{\"trained_tokens\":5}}' > outcome.json; end 0; }}\n"
                          "step() {{ mkdir -p \"$1/run\"; echo '{{\"type\":\"step\",\"step\":'$2',\"loss\":1,"
                          "\"epoch\":1,\"lr\":1,\"tokens_per_second\":1}}' >> \"$1/run/metrics.jsonl\"; }}\n"
                          "{2}\necho $n\n",
                          at("submitted"), made().string(), training));
  }
  void start() {
    work();
    runner->start();
  }
  size_t submitted() const {
    return is_there(at("submitted")) ? read_file(at("submitted")).size() / 2 : 0;  // a line of one letter for each
  }
  void wait_for_end(const TrainingJob& job) {
    wait([&] { return is_final(now(job).status); });
  }
  size_t times(const TrainingJob& job, const std::string& message) {
    const std::vector<JobEvent> events = JobStore(*database).events_after(job.id, 0, 100);
    return static_cast<size_t>(std::ranges::count(events, message, &JobEvent::message));
  }

  const test::FakeTools tools;
};

TEST_F(SlurmRunner, AnEndIsNotedOnceWhenTheServerStopsMeanwhile) {
  set("RUNNING");
  submit_to("");
  const TrainingJob job = add("stopped");
  start();
  wait([&] { return is_there(JobFolder(work_folder(job)).slurm()); });
  // squeue answers that the job was cancelled while the server stops.
  tools.say("squeue", fmt::format("echo x > '{}'; sleep 0.5; echo CANCELLED", at("asked")));
  wait([&] { return is_there(at("asked")); });
  runner.reset();
  start();
  wait_for_end(job);
  ASSERT_TRUE(now(job).error);
  EXPECT_EQ(now(job).error->code, "slurm_cancelled");
  EXPECT_EQ(submitted(), 1U);
}

// A job of Slurm whose time is over leaves a checkpoint and ends with code 4.
TEST_F(SlurmRunner, WhatTheTimeLimitLeavesIsAnotherJob) {
  submit_to("if [ $n -lt 3 ]; then step model $n; end 4; else done_training; fi");
  const TrainingJob job = add("long");
  start();
  wait_for_end(job);
  EXPECT_EQ(now(job).status, JobStatus::kSucceeded);
  EXPECT_EQ(submitted(), 3U);
  EXPECT_EQ(now(job).failures, 0);
  EXPECT_EQ(times(job, kGoesOn), 2U);
}

TEST_F(SlurmRunner, AJobThatMakesNoStepsWithinItsTimeFails) {
  submit_to("step model 1; end 4");
  const TrainingJob job = add("stuck");
  start();
  wait_for_end(job);
  EXPECT_EQ(now(job).status, JobStatus::kFailed);
  ASSERT_TRUE(now(job).error);
  EXPECT_EQ(now(job).error->code, "worker_stopped");
  EXPECT_EQ(submitted(), 2U) << "the first has made a step, and the second none";
}

TEST_F(SlurmRunner, ASearchThatTheTimeLimitInterruptsGoesOn) {
  submit_to(
      "case $n in 1) step search/0-5 2; end 4;; 2) rm -r search; echo '{\"0:5\":0.5}' > search.json; end 4;;\n"
      "  3) step search/1-5 1; end 4;; *) done_training;; esac");
  const TrainingJob job = add("searched");
  start();
  wait_for_end(job);
  EXPECT_EQ(now(job).status, JobStatus::kSucceeded);
  EXPECT_EQ(submitted(), 4U);
  EXPECT_EQ(now(job).failures, 0);
}

TEST_F(SlurmRunner, AnOutageOfSlurmCostsNoAttempt) {
  const std::string down = fmt::format("echo x >> '{}'; echo '{}' >&2; exit 1", at("asked"), kDown);
  const auto asked = [&] { return is_there(at("asked")) ? read_file(at("asked")).size() / 2 : 0; };
  submit_to("done_training");
  const auto script_of = [&](const char* name) { return read_file(at(name)); };
  const std::string squeue = script_of("squeue"), sbatch = script_of("sbatch");
  tools.say("squeue", down);
  const TrainingJob job = add("patient");
  start();
  wait([&] { return asked() > 3; });
  tools.say("squeue", squeue);
  tools.say("sbatch", "cat > /dev/null; " + down);
  const size_t before = asked();
  wait([&] { return asked() > before + 1; });
  EXPECT_EQ(now(job).status, JobStatus::kRunning);
  EXPECT_EQ(now(job).failures, 0);
  tools.say("sbatch", sbatch);
  wait_for_end(job);
  EXPECT_EQ(now(job).status, JobStatus::kSucceeded);
  EXPECT_EQ(submitted(), 1U);
  EXPECT_EQ(times(job, "Slurm cannot be asked now. The server tries again."), 1U);
  EXPECT_EQ(times(job, kGoesOn), 0U) << "nothing had begun";
}

TEST_F(SlurmRunner, ARefusalOfSbatchIsAnAttempt) {
  submit_to("");
  tools.say("sbatch", "cat > /dev/null; echo 'sbatch: error: invalid partition specified: x' >&2; exit 1");
  const TrainingJob job = add("refused");
  start();
  wait_for_end(job);
  ASSERT_TRUE(now(job).error);
  EXPECT_EQ(now(job).error->code, "slurm_refused");
  EXPECT_EQ(now(job).failures, 1);
}

TEST_F(SlurmRunner, ATrainingThatStillRunsDoesNotGoOnFromACheckpoint) {
  set("RUNNING");
  submit_to("step model 1");
  const TrainingJob job = add("running");
  start();
  wait([&] { return now(job).step == 1; });
  runner.reset();
  start();
  write_file_atomically(work_folder(job) / "model/run/metrics.jsonl",
                        read_file(work_folder(job) / "model/run/metrics.jsonl") +
                            R"({"type":"step","step":2,"loss":1,"epoch":1,"lr":1,"tokens_per_second":1})" + "\n");
  wait([&] { return now(job).step == 2; });
  EXPECT_EQ(times(job, kGoesOn), 0U);
  EXPECT_EQ(submitted(), 1U);
}

TEST_F(SlurmRunner, AStopDoesNotWaitForACommandThatHangs) {
  submit_to("");
  tools.say("squeue", fmt::format("echo x > '{}'; exec sleep 50", at("asked")));
  const TrainingJob job = add("hung");
  start();
  wait([&] { return is_there(at("asked")); });
  const auto begun = std::chrono::steady_clock::now();
  runner.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  EXPECT_EQ(now(job).status, JobStatus::kRunning);
  EXPECT_EQ(now(job).failures, 0);
}

}  // namespace
}  // namespace qing::serve
