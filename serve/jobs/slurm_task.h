// How a job of this server becomes a job of Slurm, and what a request may say about it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

#include <qing/serve/jobs/slurm.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// The value of kSlurmOption as texts: ranks, partition and minutes, empty where they are left out. ValueError "slurm:
/// ..." for another value, for more than the operator allows, and if `allowed` is null because this machine trains the
/// jobs.
std::vector<std::string> slurm_texts(const boost::json::value& value, const SlurmOptions* allowed);

/// The training of a job. A search for settings takes one rank. `program` is that of the worker. IoError when it cannot
/// be resolved.
SlurmTask slurm_task(const TrainingJob& job, const JobFolder& folder, const std::filesystem::path& program,
                     const WorkerLimits& limits, const SlurmOptions& options);

}  // namespace qing::serve
