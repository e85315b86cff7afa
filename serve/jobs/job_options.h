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

/// How Kubernetes trains the jobs. What is left empty is taken from the service account of the server's pod.
struct KubernetesOptions {
  std::string server = {};                    ///< https URL of the API server
  std::filesystem::path token = {};           ///< file, which is read for each request: tokens are replaced
  std::filesystem::path authority = {};       ///< PEM file of the authorities that sign the API server's certificate
  std::string name_space = {};                ///< of the jobs
  std::string image = {};                     ///< with qing as /usr/local/bin/qing; must be given
  std::string claim = {};                     ///< PersistentVolumeClaim with the state folder; must be given
  std::string claim_path = {};                ///< of the state folder in the claim's volume; empty: its root
  std::string service_account = {};           ///< of the trainings' pods; empty: the namespace's default
  std::filesystem::path pod = {};             ///< file with a JSON Merge Patch of the pods' template; empty: none
  size_t minutes = 0;                         ///< most of a training, and its own unless it asks for less; 0: no limit
  size_t ranks = 1;                           ///< most of a training, and its own unless it asks for fewer
  std::chrono::milliseconds look{2'000};      ///< between looks at a job
  std::chrono::milliseconds timeout{30'000};  ///< of a request
  /// How long the server waits for a worker's end.json after its pod has ended. A volume of several machines shows
  /// files late.
  std::chrono::milliseconds settle{60'000};
};

struct JobOptions {
  std::filesystem::path worker;  ///< the program qing; empty: no job is accepted
  size_t at_once = 1;            ///< jobs that train at the same time; 0: no job is accepted
  WorkerLimits limits;
  /// What trains the jobs. Without either, processes of this machine do. At most one is given.
  std::optional<SlurmOptions> slurm = {};
  std::optional<KubernetesOptions> kubernetes = {};
  size_t unfinished = 50;                   ///< jobs of a project that wait, train or are paused; 0: no limit
  size_t minutes = 0;                       ///< of training, for one job; above: it fails. 0: no limit
  size_t attempts = 3;                      ///< of a job whose worker is killed or cannot read or write; then it fails
  std::chrono::milliseconds grace{20'000};  ///< from SIGTERM, which asks for a checkpoint, to SIGKILL
  /// From the first failure to finish a job whose model is trained to the next attempt. Later waits grow.
  std::chrono::milliseconds rest{1'000};
  /// From the first failure to finish a job whose model is trained to the last attempt. The job fails then, and its
  /// folder keeps the model.
  std::chrono::milliseconds finish_within = std::chrono::hours(24);

  bool on_cluster() const { return slurm || kubernetes; }
};

}  // namespace qing::serve
