// What a server and a worker on a cluster leave for each other in the job's folder.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <qing/serve/jobs/job_worker.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// Writes end.json, with the id that tells this job of the cluster from others, for a worker on a cluster. An empty id
/// stands for the number of the job of Slurm that this process belongs to. IoError.
void record_end(const JobFolder& folder, int code, std::string id);

/// The code of end.json if the job of the cluster with this id has left it. IoError, DataError.
std::optional<int> recorded_end(const JobFolder& folder, const std::string& id);

/// Removes what an earlier job of the cluster has left: its error and its end. IoError.
void remove_ends(const JobFolder& folder);

/// Removes the records of the cluster's jobs, so that the next attempt is a new job of the cluster. The server calls it
/// after it has noted the end. If it stops before that, it finds the end again. IoError.
void forget_recorded(const JobFolder& folder);

/// What a cluster's word for the end of a job means, for a job that has left no message of its own.
struct EndReason {
  std::string_view word;
  int code;
  const char* name;
  const char* message;
};

/// Writes error.json. Its message is `job`, a sentence that says what the training was, and then the meaning of `word`,
/// which is what the cluster says of the end. A word without a reason is in the message itself. IoError.
WorkerEnd write_end(const JobFolder& folder, const std::string& job, std::span<const EndReason> reasons,
                    std::string_view word);

/// error.json with an error that names no field of the request. IoError.
void write_error(const JobFolder& folder, std::string_view code, std::string_view message);

}  // namespace qing::serve
