#include "slurm_task.h"

#include <filesystem>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include <qing/serve/jobs/cluster_wishes.h>
#include <qing/serve/jobs/requested_options.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace fs = std::filesystem;

SlurmTask slurm_task(const TrainingJob& job, const JobFolder& folder, const fs::path& program,
                     const WorkerLimits& limits, const SlurmOptions& options) {
  const ClusterWishes wishes = wishes_of(job, kSlurmOption);
  std::error_code error;
  // Nodes do not have /proc/self/exe.
  const fs::path resolved = fs::canonical(program, error);
  if (error) throw IoError(fmt::format("{}: cannot be found: {}", program.string(), error.message()));
  const std::string usual = options.partitions.empty() ? std::string() : options.partitions.front();
  return {.name = "qing-" + job.id,
          .comment = fmt::format("qing: model {}", job.model),
          .program = resolved,
          .folder = fs::absolute(folder.path),
          .log = fs::absolute(folder.log()),
          .ranks = ranks_of(job, wishes, options.ranks),
          .partition = wishes.partition.empty() ? usual : wishes.partition,
          .minutes = wishes.minutes.value_or(options.minutes),
          .limits = limits};
}

}  // namespace qing::serve
