#include "slurm.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/utf8.h>
#include <qing/serve/jobs/tool_run.h>

namespace qing::serve {
namespace {

// Slurm asks the processes for a checkpoint so many seconds before the time of a job is over. Its clock counts in
// minutes, so that shorter jobs would be asked at once.
constexpr size_t kSecondsToStop = 60, kLeastMinutesToAsk = 5;
// For which mpirun leaves the ranks alone after SIGTERM.
constexpr size_t kSecondsOfMpirun = 20;

// At most 1000 bytes, whole characters.
std::string shown_error(const std::string& printed) {
  if (nn::find_invalid_utf8(printed)) return "it printed what is not UTF-8";
  return nn::shortened(printed, 1000);
}

// In the quotes of a POSIX shell.
std::string quoted_word(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// The job must not see what the server's environment may hold, such as keys. Slurm's commands need the place of its
// configuration, and the nodes those of MPI.
std::vector<std::string> tool_variables() {
  static constexpr std::array<std::string_view, 8> kNames = {
      "PATH", "HOME", "USER", "LOGNAME", "LD_LIBRARY_PATH", "QING_ISA", "SLURM_CONF", "OMPI_ALLOW_RUN_AS_ROOT"};
  static constexpr std::array<std::string_view, 5> kBeginnings = {"SBATCH_", "OMPI_MCA_", "OMPI_ALLOW_RUN_AS_ROOT_",
                                                                  "UCX_", "FI_"};
  std::vector<std::string> kept = {"LC_ALL=C.UTF-8"};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable, name = text.substr(0, text.find('='));
    const auto begins = [&](std::string_view beginning) { return name.starts_with(beginning); };
    if (std::ranges::count(kNames, name) > 0 || std::ranges::any_of(kBeginnings, begins)) kept.emplace_back(text);
  }
  return kept;
}

ToolResult run_slurm(std::vector<std::string> words, const std::string& input, const SlurmOptions& options,
                     const std::function<bool()>& stopped) {
  const std::string command = words.front();
  try {
    return run_tool(std::move(words), input, tool_variables(), options.tool_time, stopped);
  } catch (const IoError& error) { throw SlurmError(command, error.what()); }
}

// What Slurm's commands print when they do not reach its controller, or the controller cannot answer yet: the texts of
// slurm_errno.c, those of errno and those of Munge, which signs the requests.
bool is_unreached(std::string_view printed) {
  static constexpr std::array<std::string_view, 13> kTexts = {"Unable to contact slurm controller",
                                                              "Communication connection failure",
                                                              "Communication shutdown failure",
                                                              "Message send failure",
                                                              "Message receive failure",
                                                              "Socket timed out",
                                                              "Zero Bytes were transmitted",
                                                              "in standby mode",
                                                              "temporarily unable to accept job",
                                                              "Connection refused",
                                                              "Connection timed out",
                                                              "No route to host",
                                                              "Munge encode failed"};
  return std::ranges::any_of(kTexts, [&](std::string_view text) { return printed.find(text) != printed.npos; });
}

// Slurm's own words for a job that it does not know, the same in all its commands.
bool is_unknown_job(const SlurmError& error) { return error.printed().find("Invalid job id") != std::string::npos; }

bool has_no_accounting(const SlurmError& error) {
  return error.printed().find("accounting storage is disabled") != std::string::npos;
}

std::string first_word(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == text.npos ? std::string() : text.substr(begin, text.find_first_of(" \t\r\n+", begin) - begin);
}

SlurmLook seen_as(std::string word) { return {slurm_state(word), std::move(word)}; }

}  // namespace

SlurmError::SlurmError(std::string command, const std::string& printed, bool refused)
    : ClusterError(fmt::format("{}: {}", command, shown_error(printed)), refused),
      command_(std::move(command)),
      printed_(shown_error(printed)) {}

std::vector<std::string> sbatch_words(const SlurmTask& task, const SlurmOptions& options) {
  std::string log = task.log.string();
  // '%' begins a pattern of sbatch.
  for (size_t at = 0; (at = log.find('%', at)) != log.npos; at += 2) log.insert(at, 1, '%');
  std::vector<std::string> words = {"sbatch", "--parsable", "--job-name=" + task.name, "--comment=" + task.comment,
                                    "--chdir=" + task.folder.string(), "--output=" + log, "--open-mode=append",
                                    "--export=ALL",
                                    // The server tries again itself, and counts.
                                    "--no-requeue", fmt::format("--ntasks={}", task.ranks)};
  if (!task.partition.empty()) words.push_back("--partition=" + task.partition);
  if (task.minutes > 0) words.push_back(fmt::format("--time={}", task.minutes));
  if (task.minutes == 0 || task.minutes >= kLeastMinutesToAsk) {
    // srun's ranks are a step of the job. mpirun's are not: it has the process of the script and passes the signal on.
    words.push_back(
        fmt::format("--signal={}TERM@{}", options.launcher == SlurmLauncher::mpirun ? "B:" : "", kSecondsToStop));
  }
  if (task.limits.cores > 0) words.push_back(fmt::format("--cpus-per-task={}", task.limits.cores));
  if (task.limits.memory_mib > 0) words.push_back(fmt::format("--mem={}M", task.limits.memory_mib));
  words.insert(words.end(), options.options.begin(), options.options.end());
  return words;
}

std::string batch_script(const SlurmTask& task, SlurmLauncher launcher) {
  std::string start, settings;
  if (launcher == SlurmLauncher::mpirun) {
    start = fmt::format("mpirun -n {}", task.ranks);
    // Open MPI kills the ranks one second after it has passed SIGTERM on, which is too short for a checkpoint. It also
    // waits for twice this time when they have ended. Versions before 5 read the first variable, and later ones the
    // second.
    settings = fmt::format("export OMPI_MCA_odls_base_sigkill_timeout={0} PRTE_MCA_odls_base_sigkill_timeout={0}\n",
                           kSecondsOfMpirun);
  } else {
    // srun does not take the CPUs of a task over from sbatch in all versions. --wait=0 waits for rank 0, which writes
    // the results after the others have ended.
    start = fmt::format("srun --ntasks={} --mpi={} --wait=0 --kill-on-bad-exit=1{}", task.ranks,
                        launcher == SlurmLauncher::pmix ? "pmix" : "pmi2",
                        task.limits.cores > 0 ? fmt::format(" --cpus-per-task={}", task.limits.cores) : "");
  }
  return fmt::format("#!/bin/sh\numask 077\n{}exec {} {} work train --detached --folder {} --cores {}\n", settings,
                     start, quoted_word(task.program.string()), quoted_word(task.folder.string()), task.limits.cores);
}

std::optional<std::string> submitted_id(std::string_view printed) {
  std::string id(nn::trimmed(std::string_view(printed).substr(0, printed.find(';'))));
  const bool number = !id.empty() && std::ranges::all_of(id, [](char c) { return c >= '0' && c <= '9'; });
  return number ? std::optional(std::move(id)) : std::nullopt;
}

SlurmState slurm_state(std::string_view word) {
  static constexpr std::array<std::string_view, 7> kWaiting = {
      "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"};
  static constexpr std::array<std::string_view, 11> kEnded = {"COMPLETED", "FAILED",        "CANCELLED",    "TIMEOUT",
                                                              "NODE_FAIL", "PREEMPTED",     "BOOT_FAIL",    "DEADLINE",
                                                              "REVOKED",   "OUT_OF_MEMORY", "LAUNCH_FAILED"};
  word = word.substr(0, word.find_first_of(" +"));  // "CANCELLED by 1000", "CANCELLED+"
  if (std::ranges::count(kWaiting, word) > 0) return SlurmState::waiting;
  if (std::ranges::count(kEnded, word) > 0) return SlurmState::ended;
  return word.empty() ? SlurmState::unknown : SlurmState::running;
}

std::string Slurm::printed_by(std::vector<std::string> words, const std::string& input) const {
  const std::string command = words.front();
  const ToolResult result = run_slurm(std::move(words), input, options_, stopped_);
  if (result.code == 0) return result.out;
  const std::string printed(nn::trimmed(result.err));
  throw SlurmError(command, printed.empty() ? fmt::format("it ended with code {}", result.code) : printed,
                   command == "sbatch" && !is_unreached(printed));
}

std::string Slurm::submit(const SlurmTask& task) const {
  const std::string printed = printed_by(sbatch_words(task, options_), batch_script(task, options_.launcher));
  if (auto id = submitted_id(printed)) return *std::move(id);
  throw SlurmError("sbatch", fmt::format("it printed '{}' in place of a job's number", nn::trimmed(printed)), true);
}

std::optional<std::string> Slurm::find(const std::string& name) const {
  const std::string id = first_word(printed_by({"squeue", "--noheader", "--name=" + name, "--format=%i"}, {}));
  return id.empty() ? std::nullopt : std::optional(id);
}

SlurmLook Slurm::look_at(const std::string& id) const {
  try {
    const std::string word =
        first_word(printed_by({"squeue", "--noheader", "--jobs=" + id, "--states=all", "--format=%T"}, {}));
    if (!word.empty()) return seen_as(word);
  } catch (const SlurmError& error) {
    if (!is_unknown_job(error)) throw;
  }
  try {
    const std::string word = first_word(
        printed_by({"sacct", "--noheader", "--parsable2", "--allocations", "--jobs=" + id, "--format=State"}, {}));
    if (!word.empty()) return seen_as(word);
  } catch (const SlurmError& error) {
    if (!has_no_accounting(error)) throw;
  }
  try {
    const std::string record = printed_by({"scontrol", "--oneliner", "show", "job", id}, {});
    constexpr std::string_view kState = "JobState=";
    const size_t at = record.find(kState);
    if (at != record.npos) return seen_as(first_word(record.substr(at + kState.size())));
  } catch (const SlurmError& error) {
    if (!is_unknown_job(error)) throw;
  }
  return {};
}

void Slurm::ask_to_stop(const std::string& id) const {
  std::vector<std::string> words = {"scancel", "--signal=TERM", id};
  // The ranks of mpirun are processes of the script and no step of the job.
  if (options_.launcher == SlurmLauncher::mpirun) words.emplace_back("--full");
  printed_by(std::move(words), {});
}

void Slurm::cancel(const std::string& id) const {
  try {
    printed_by({"scancel", id}, {});
  } catch (const SlurmError& error) {
    if (!is_unknown_job(error)) throw;
  }
}

}  // namespace qing::serve
