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

/// Removes the records of jobs of a cluster, so that the next attempt is another one. The server calls it once it has
/// noted the end: a server that stops before finds the end again. IoError.
void forget_recorded(const JobFolder& folder);

/// What the state of an ended job means that left no word of its own.
struct EndReason {
  std::string_view word;
  int code;
  const char* name;
  const char* message;
};

/// Writes error.json: `job`, a sentence that says what the training was, and what `word` means, the cluster's word for
/// its end. A word that no reason has is told as it is. IoError.
WorkerEnd write_end(const JobFolder& folder, const std::string& job, std::span<const EndReason> reasons,
                    std::string_view word);

/// error.json with an error that names no field of the request. IoError.
void write_error(const JobFolder& folder, std::string_view code, std::string_view message);

}  // namespace qing::serve
