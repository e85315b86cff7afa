// How a job of this server becomes a job of Slurm.
#pragma once

#include <filesystem>

#include <qing/serve/jobs/slurm.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// The training of a job. `program` is that of the worker. IoError when it cannot
/// be resolved.
SlurmTask slurm_task(const TrainingJob& job, const JobFolder& folder, const std::filesystem::path& program,
                     const WorkerLimits& limits, const SlurmOptions& options);

}  // namespace qing::serve
