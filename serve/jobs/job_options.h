// What the training jobs of a server may use.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qing::serve {

/// What a worker may use.
struct WorkerLimits {
  size_t cores = 0;       ///< threads of its computations; 0: all usable ones but one, and at least one
  size_t memory_mib = 0;  ///< address space (RLIMIT_AS); 0: half of the machine's memory
};

/// Which program starts the ranks of a training on the nodes of a cluster.
enum class SlurmLauncher {
  pmix,    ///< srun --mpi=pmix, for Open MPI
  pmi2,    ///< srun --mpi=pmi2, for MPICH
  mpirun,  ///< mpirun, which knows Slurm
};

/// How Slurm trains the jobs.
struct SlurmOptions {
  std::vector<std::string> partitions = {};  ///< that a job may choose, the first one unless it does; empty: Slurm's
  size_t minutes = 0;                        ///< most of a training, and its own unless it asks for less; 0: Slurm's
  size_t ranks = 1;                          ///< most of a training, and its own unless it asks for fewer
  SlurmLauncher launcher = SlurmLauncher::pmix;
  std::vector<std::string> options = {};  ///< further options of sbatch, such as --account=NAME
  std::chrono::milliseconds look{2'000};  ///< between looks at a job
  std::chrono::seconds tool_time{60};     ///< for which one of Slurm's commands may run
};

struct JobOptions {
  std::filesystem::path worker;  ///< the program qing; empty: no job is accepted
  size_t at_once = 1;            ///< jobs that train at the same time; 0: no job is accepted
  WorkerLimits limits;
  std::optional<SlurmOptions> slurm = {};   ///< trains the jobs; nothing: processes of this machine do
  size_t unfinished = 50;                   ///< jobs of a project that wait, train or are paused; 0: no limit
  size_t minutes = 0;                       ///< of training, for one job; above: it fails. 0: no limit
  size_t attempts = 3;                      ///< of a job whose worker is killed or cannot read or write; then it fails
  std::chrono::milliseconds grace{20'000};  ///< from SIGTERM, which asks for a checkpoint, to SIGKILL
  /// From the first failure to finish a job whose model is trained to the next attempt. Later waits grow.
  std::chrono::milliseconds rest{1'000};
  /// From the first failure to finish a job whose model is trained to the last attempt. The job fails then, and its
  /// folder keeps the model.
  std::chrono::milliseconds finish_within = std::chrono::hours(24);
};

}  // namespace qing::serve
