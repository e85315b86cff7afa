// The options of `qing serve` for trainings on a cluster.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include <qing/serve/server.h>

namespace qing::serve::cli {

struct ClusterArguments {
  std::string runner = "local";  ///< of the jobs
  SlurmOptions slurm = {};
  KubernetesOptions kubernetes = {};

  /// Writes the options of the runner's cluster, if it is one, into those of the jobs.
  void apply(JobOptions& jobs) const;
};

/// --job-runner and the options of each cluster, which count with their runner alone. `arguments` must outlive the
/// command.
void add_cluster_options(CLI::App& command, ClusterArguments& arguments);

}  // namespace qing::serve::cli
