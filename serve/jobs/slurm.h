// The commands of Slurm that a server uses: sbatch, squeue, sacct, scontrol and scancel. They are looked for in PATH.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/serve/jobs/cluster_error.h>
#include <qing/serve/jobs/job_options.h>

namespace qing::serve {

/// One of Slurm's commands failed. what() has the command and what it printed on stderr. It is no refusal when the
/// command could not run, took too long, did not reach Slurm or asked for something else than a job.
class SlurmError : public ClusterError {
 public:
  SlurmError(std::string command, const std::string& printed, bool refused = false);
  const std::string& command() const { return command_; }  ///< "sbatch"
  const std::string& printed() const { return printed_; }  ///< on stderr, without blanks around, at most 1000 bytes
  const char* cluster() const override { return "Slurm"; }
  const char* code() const override { return "slurm_refused"; }

 private:
  std::string command_, printed_;
};

/// A training that Slurm is to run.
struct SlurmTask {
  std::string name;  ///< of the job of Slurm
  std::string comment;
  std::filesystem::path program;  ///< qing, an absolute path that every node has
  std::filesystem::path folder;   ///< of the job, an absolute path that every node has
  std::filesystem::path log;      ///< what the training prints is appended
  size_t ranks = 1;
  std::string partition = {};  ///< empty: Slurm's own
  size_t minutes = 0;          ///< 0: the partition's own limit
  WorkerLimits limits = {};    ///< 0: one CPU a rank, and the partition's own memory
};

/// The words of the command that submits the task, and the script that it reads from its standard input: srun or mpirun
/// with `qing work train` on every rank.
std::vector<std::string> sbatch_words(const SlurmTask& task, const SlurmOptions& options);
std::string batch_script(const SlurmTask& task, SlurmLauncher launcher);

/// The number in what `sbatch --parsable` prints, "12" or "12;cluster". Nothing if there is none.
std::optional<std::string> submitted_id(std::string_view printed);

enum class SlurmState {
  waiting,  ///< pending, held or requeued
  running,  ///< also suspended and completing
  ended,
  unknown,  ///< Slurm knows no such job (any more)
};
/// The state that a word of squeue, sacct or scontrol means, such as "PENDING" or "CANCELLED by 1000". An unknown word
/// is running, since the job is there.
SlurmState slurm_state(std::string_view word);

struct SlurmLook {
  SlurmState state = SlurmState::unknown;
  std::string word = {};  ///< as Slurm has it: "TIMEOUT"
};

/// The commands. Each throws a SlurmError when Slurm cannot be asked or refuses. Thread-safe.
class Slurm {
 public:
  /// A command that runs when `stopped` says true is killed, and its SlurmError is no refusal. Thread-safe.
  explicit Slurm(SlurmOptions options, std::function<bool()> stopped = {})
      : options_(std::move(options)), stopped_(std::move(stopped)) {}

  /// The id of the new job.
  std::string submit(const SlurmTask& task) const;
  /// The id of a job of this name that waits or runs. Nothing without one.
  std::optional<std::string> find(const std::string& name) const;
  /// By squeue, and by sacct or, where accounting is off, by scontrol when squeue knows the job no more.
  SlurmLook look_at(const std::string& id) const;
  /// Sends SIGTERM to the processes of a running job, so that a training ends at a checkpoint.
  void ask_to_stop(const std::string& id) const;
  void cancel(const std::string& id) const;  ///< Also of a job that has ended.
  const SlurmOptions& options() const { return options_; }

 private:
  std::string printed_by(std::vector<std::string> words, const std::string& input) const;

  SlurmOptions options_;
  std::function<bool()> stopped_;
};

}  // namespace qing::serve
