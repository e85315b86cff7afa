// Slurm's commands: words, states and errors, with programs in their place that say what the real ones would.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/jobs/cluster_record.h>
#include <qing/serve/jobs/cluster_wishes.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/jobs/slurm.h>
#include <qing/serve/jobs/slurm_task.h>
#include <qing/serve/jobs/slurm_worker.h>
#include <qing/serve/jobs/tool_run.h>
#include <qing/tensor/files.h>

#include "fake_tools.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using std::chrono::milliseconds;

SlurmTask task_in(const fs::path& folder) {
  return {.name = "qing-ftjob-1",
          .comment = "qing: model m",
          .program = "/opt/it's/qing",
          .folder = folder,
          .log = folder / "100%.txt",
          .ranks = 2,
          .partition = "short",
          .minutes = 30,
          .limits = {.cores = 4, .memory_mib = 1000}};
}

TEST(Slurm, WordsAndScriptsSayWhatTheTaskIs) {
  const std::vector<std::string> words = sbatch_words(task_in("/state/jobs/1"), {.options = {"--account=me"}});
  for (const char* word : {"--parsable", "--job-name=qing-ftjob-1", "--comment=qing: model m", "--chdir=/state/jobs/1",
                           "--output=/state/jobs/1/100%%.txt", "--open-mode=append", "--ntasks=2", "--partition=short",
                           "--time=30", "--signal=TERM@60", "--cpus-per-task=4", "--mem=1000M", "--account=me"}) {
    EXPECT_EQ(std::ranges::count(words, word), 1) << word;
  }
  const std::string script = batch_script(task_in("/state/jobs/1"), SlurmLauncher::pmi2);
  EXPECT_TRUE(script.starts_with("#!/bin/sh\n"));
  EXPECT_NE(script.find("exec srun --ntasks=2 --mpi=pmi2 "), script.npos) << script;
  EXPECT_NE(script.find("'/opt/it'\\''s/qing' work train --detached --folder '/state/jobs/1'"), script.npos) << script;
  const std::string by_mpirun = batch_script(task_in("/s"), SlurmLauncher::mpirun);
  EXPECT_NE(by_mpirun.find("exec mpirun -n 2 "), script.npos);
  EXPECT_NE(by_mpirun.find("export OMPI_MCA_odls_base_sigkill_timeout=20 "), script.npos) << "time for a checkpoint";
  const std::vector<std::string> of_mpirun = sbatch_words(task_in("/s"), {.launcher = SlurmLauncher::mpirun});
  EXPECT_EQ(std::ranges::count(of_mpirun, "--signal=B:TERM@60"), 1) << "its ranks are no step of the job";
  SlurmTask quick = task_in("/s");
  quick.minutes = 2;
  const std::vector<std::string> short_words = sbatch_words(quick, {});
  EXPECT_EQ(std::ranges::count(short_words, "--signal=TERM@60"), 0) << "it would be asked to stop at once";
}

TEST(Slurm, KnowsItsWords) {
  for (const char* word : {"PENDING", "REQUEUED", "CONFIGURING"}) EXPECT_EQ(slurm_state(word), SlurmState::waiting);
  for (const char* word : {"RUNNING", "SUSPENDED", "COMPLETING", "A_NEW_ONE"}) {
    EXPECT_EQ(slurm_state(word), SlurmState::running) << word;
  }
  for (const char* word : {"COMPLETED", "CANCELLED by 1000", "CANCELLED+", "OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL"}) {
    EXPECT_EQ(slurm_state(word), SlurmState::ended) << word;
  }
  EXPECT_EQ(slurm_state(""), SlurmState::unknown);
  EXPECT_EQ(submitted_id("12\n"), "12");
  EXPECT_EQ(submitted_id("12;cluster\n"), "12");
  for (const char* none : {"", "Submitted batch job 12", "12x"}) EXPECT_EQ(submitted_id(none), std::nullopt);
}

TEST(Slurm, ErrorsCarryWhatTheCommandPrinted) {
  const test::FakeTools tools;
  tools.say("sbatch", "cat > /dev/null; echo 'sbatch: error: invalid partition specified: short' >&2; exit 1");
  try {
    Slurm({}).submit(task_in(tools.path()));
    FAIL() << "a refused job was submitted";
  } catch (const SlurmError& error) {
    EXPECT_EQ(error.command(), "sbatch");
    EXPECT_EQ(error.printed(), "sbatch: error: invalid partition specified: short");
    EXPECT_STREQ(error.what(), "sbatch: sbatch: error: invalid partition specified: short");
    EXPECT_TRUE(error.refused());
  }
  tools.say("sbatch", "cat > /dev/null; echo hello");
  EXPECT_THROW(Slurm({}).submit(task_in(tools.path())), SlurmError);
  tools.say("sbatch", "exec sleep 30");
  const auto refused = [&](const Slurm& slurm) {
    try {
      slurm.submit(task_in(tools.path()));
    } catch (const SlurmError& error) { return error.refused(); }
    ADD_FAILURE() << "the job was submitted";
    return false;
  };
  EXPECT_FALSE(refused(Slurm({.tool_time = std::chrono::seconds(1)})));
  EXPECT_FALSE(refused(Slurm({}, [] { return true; })));
  for (const char* text :
       {"Unable to contact slurm controller (connect failure)", "Socket timed out on send/recv operation"}) {
    tools.say("sbatch", fmt::format("cat > /dev/null; echo 'sbatch: error: {}' >&2; exit 1", text));
    EXPECT_FALSE(refused(Slurm({}))) << text;
  }
}

TEST(Slurm, AsksTheNextCommandWhenOneKnowsNothing) {
  const test::FakeTools tools;
  const char* const gone = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1";
  tools.say("squeue", "echo RUNNING");
  EXPECT_EQ(Slurm({}).look_at("7").word, "RUNNING");
  tools.say("squeue", gone);
  tools.say("sacct", "echo 'CANCELLED by 0'");
  EXPECT_EQ(Slurm({}).look_at("7").word, "CANCELLED");
  tools.say("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1");
  tools.say("scontrol", "echo 'JobId=7 JobName=x JobState=TIMEOUT Reason=TimeLimit'");
  EXPECT_EQ(Slurm({}).look_at("7").word, "TIMEOUT");
  tools.say("scontrol", gone);
  EXPECT_EQ(Slurm({}).look_at("7").state, SlurmState::unknown);
  // A controller that does not answer says nothing about the job.
  tools.say("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1");
  EXPECT_THROW(Slurm({}).look_at("7"), SlurmError);
}

TEST(Slurm, AWorkerEndsWithWhatItLeftOrWithTheStateOfItsJob) {
  const test::FakeTools tools;
  const JobFolder folder(tools.path());
  const Slurm slurm({.look = milliseconds(0)});
  tools.say("squeue", "case \"$*\" in *--name*) ;; *) cat '" + tools.path().string() + "/state';; esac");
  tools.say("sbatch", "cat > /dev/null; echo 12 >> '" + tools.path().string() + "/submitted'; echo 12");
  std::string told;
  const auto begin = [&] {
    return SlurmWorker(slurm, task_in(tools.path()), [&](const std::string& id) { told = id; });
  };
  const auto set = [&](const char* state) { write_file_atomically(tools.path() / "state", state); };
  set("RUNNING");
  {
    SlurmWorker worker = begin();
    EXPECT_EQ(told, "12");
    EXPECT_FALSE(worker.poll());
    EXPECT_TRUE(worker.outlives_server());
  }
  // The record names the job, so that another server does not submit it again.
  told.clear();
  SlurmWorker again = begin();
  EXPECT_EQ(again.id(), "12");
  EXPECT_EQ(told, "");
  EXPECT_EQ(read_file(tools.path() / "submitted"), "12\n");
  tools.say("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1");
  EXPECT_FALSE(again.poll()) << "a job is not over because Slurm does not answer";
  tools.say("squeue", "cat '" + tools.path().string() + "/state'");
  set("OUT_OF_MEMORY");
  ASSERT_TRUE(again.poll());
  EXPECT_EQ(again.poll()->code, kWorkerFailed);
  EXPECT_EQ(text_member_of(read_object_file(folder.error()), "code"), "memory_limit");
  // A server that stops before it has noted the end finds the same end again, and submits nothing.
  EXPECT_TRUE(is_there(folder.slurm()));
  told.clear();
  SlurmWorker unnoted = begin();
  EXPECT_EQ(unnoted.poll()->code, kWorkerFailed);
  EXPECT_EQ(told, "");
  EXPECT_EQ(read_file(tools.path() / "submitted"), "12\n");
  forget_recorded(folder);

  // What the worker has recorded itself counts more than the state, unless it is of another job of Slurm.
  tools.say("squeue", "case \"$*\" in *--name*) ;; *) echo FAILED;; esac");
  SlurmWorker third = begin();
  EXPECT_FALSE(is_there(folder.error())) << "the reason of an earlier attempt stays";
  ::setenv("SLURM_JOB_ID", "12", 1);
  record_end(folder, kWorkerStopped, {});
  EXPECT_EQ(third.poll()->code, kWorkerStopped);
  forget_recorded(folder);
  SlurmWorker fourth = begin();
  ::setenv("SLURM_JOB_ID", "11", 1);
  record_end(folder, kWorkerDone, {});
  EXPECT_EQ(fourth.poll()->code, kWorkerFaulted);
  forget_recorded(folder);
  // scancel asks for a checkpoint, and the training must not go on then.
  tools.say("squeue", "case \"$*\" in *--name*) ;; *) echo CANCELLED;; esac");
  SlurmWorker fifth = begin();
  ::setenv("SLURM_JOB_ID", "12", 1);
  record_end(folder, kWorkerStopped, {});
  ::unsetenv("SLURM_JOB_ID");
  EXPECT_EQ(fifth.poll()->code, kWorkerFailed);
  EXPECT_EQ(text_member_of(read_object_file(folder.error()), "code"), "slurm_cancelled");
}

TEST(Slurm, StopsAtACheckpointAndCancelsWhatWaits) {
  const test::FakeTools tools;
  const std::string log = tools.path().string() + "/log";
  tools.say("scancel", "echo \"$*\" >> '" + log + "'");
  tools.say("squeue", "case \"$*\" in *--name*) echo 12;; *) echo RUNNING;; esac");
  SlurmWorker worker(Slurm({.look = milliseconds(0)}), task_in(tools.path()), [](const std::string&) {});
  worker.stop(false);
  EXPECT_FALSE(worker.poll());
  EXPECT_FALSE(worker.poll());
  EXPECT_EQ(read_file(log), "--signal=TERM 12\n") << "it is asked once";
  worker.kill();
  worker.poll();
  worker.kill();
  worker.poll();
  EXPECT_EQ(read_file(log), "--signal=TERM 12\n12\n");
  tools.say("squeue", "echo PENDING");
  SlurmWorker waiting(Slurm({.look = milliseconds(0)}), task_in(tools.path()), [](const std::string&) {});
  waiting.stop(false);
  waiting.poll();
  EXPECT_EQ(read_file(log), "--signal=TERM 12\n12\n12\n") << "a waiting job has nothing to save";
}

TEST(Slurm, RequestsStayWithinTheOptions) {
  const SlurmOptions allowed{.partitions = {"short", "long"}, .minutes = 60, .ranks = 4};
  using Texts = std::vector<std::string>;
  JobOptions server;
  server.slurm = allowed;
  const auto texts = [&](const char* value) { return cluster_texts("slurm", json::parse(value), server); };
  EXPECT_EQ(texts(R"({"ranks":2,"partition":"long","minutes":5})"), (Texts{"2", "long", "5"}));
  EXPECT_EQ(texts("{}"), (Texts{"", "", ""}));
  for (const char* bad : {R"({"ranks":5})", R"({"ranks":0})", R"({"ranks":1.5})", R"({"minutes":61})", R"({"x":1})",
                          "2", R"({"partition":"--x"})", R"({"partition":3})"}) {
    EXPECT_THROW(texts(bad), ValueError) << bad;
  }
  EXPECT_THROW(cluster_texts("slurm", json::parse("{}"), {}), ValueError) << "this machine trains";
  EXPECT_THROW(cluster_texts("kubernetes", json::parse("{}"), server), ValueError) << "another cluster trains";
  EXPECT_THROW(texts(R"({"partition":"x"})"), ValueError);
  TrainingJob job{.id = "ftjob-1", .model = "m"};
  const JobFolder folder(fs::path("/state/jobs/ftjob-1"));
  SlurmTask task = slurm_task(job, folder, "/proc/self/exe", {}, allowed);
  EXPECT_EQ(task.ranks, 4U);
  EXPECT_EQ(task.partition, "short");
  EXPECT_EQ(task.minutes, 60U);
  EXPECT_EQ(task.program, fs::canonical("/proc/self/exe"));
  job.options = R"({"slurm":["2","long",""],"search":["4","1"]})";
  task = slurm_task(job, folder, "/proc/self/exe", {}, allowed);
  EXPECT_EQ(task.ranks, 1U) << "a search has one rank";
  EXPECT_EQ(task.partition, "long");
}

TEST(ToolRun, GivesInputOutputAndCode) {
  const ToolResult result =
      run_tool({"sh", "-c", "cat; echo bad >&2; exit 7"}, "in\n", {"PATH=/usr/bin:/bin"}, milliseconds(10'000));
  EXPECT_EQ(result.out, "in\n");
  EXPECT_EQ(result.err, "bad\n");
  EXPECT_EQ(result.code, 7);
  EXPECT_EQ(run_tool({"sh", "-c", "kill -9 $$"}, "", {"PATH=/usr/bin:/bin"}, milliseconds(10'000)).code, 137);
  EXPECT_THROW(run_tool({"qing-no-such-tool"}, "", {"PATH=/usr/bin:/bin"}, milliseconds(1000)), IoError);
  // A child that holds the pipes must not hold up the server.
  EXPECT_THROW(run_tool({"sh", "-c", "sleep 30 & sleep 30"}, "", {"PATH=/usr/bin:/bin"}, milliseconds(300)), IoError);
  ::signal(SIGPIPE, SIG_IGN);  // as in a server
  const std::string much(60'000, 'x');
  EXPECT_EQ(run_tool({"true"}, much, {"PATH=/usr/bin:/bin"}, milliseconds(10'000)).code, 0) << "it reads nothing";
  EXPECT_EQ(run_tool({"sh", "-c", "echo $SECRET-"}, "", {"PATH=/usr/bin:/bin"}, milliseconds(10'000)).out, "-\n");
}

}  // namespace
}  // namespace qing::serve
