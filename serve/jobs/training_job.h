// A training job as it is recorded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <qing/serve/state/state.h>

namespace qing::serve {

/// kValidating: its files are read. kPaused: until it is resumed. The last three are final.
enum class JobStatus { kValidating, kQueued, kRunning, kPaused, kSucceeded, kFailed, kCancelled };

/// "validating_files", "queued", ... as OpenAI's clients know them; "paused" is in the same form.
std::string_view status_name(JobStatus status);
JobStatus status_of(std::string_view name);  ///< DataError for another name
bool is_final(JobStatus status);

/// Why a job failed, for its owner.
struct JobError {
  std::string code, message;
  std::string param;  ///< the field of the request that is to blame; empty: none
};

/// Times are seconds since 1970 (UTC); 0 where there is none. Texts are empty where there is nothing.
struct TrainingJob {
  static constexpr std::string_view kScratch = "scratch";  ///< the base that is no model: random weights

  std::int64_t number = 0;  ///< jobs count up in the order in which they were made
  std::string id = {};      ///< "ftjob-" and 24 characters
  std::string project = {};
  JobStatus status = JobStatus::kValidating;
  std::int64_t created = 0, finished = 0, estimated_finish = 0;
  std::string base = {};          ///< name of the model to begin with, or kScratch
  std::int64_t base_version = 0;  ///< 0 for kScratch
  std::string model = {};         ///< name that the finished model gets
  std::string training_file = {}, validation_file = {};
  std::int64_t seed = 0;
  std::string metadata = "{}";         ///< JSON object of strings
  std::string hyperparameters = "{}";  ///< JSON object: n_epochs, batch_size, learning_rate_multiplier
  std::string options = "{}";          ///< JSON object: options of `qing train` by name, each a list of texts
  std::optional<JobError> error = {};
  std::int64_t trained_tokens = 0;
  std::string result_file = {};
  std::int64_t step = 0, steps = 0;  ///< finished steps and all steps; 0 before training
  std::int64_t failures = 0;         ///< attempts that ended by a fault outside of the training's own errors
  std::int64_t milliseconds = 0;     ///< of training so far
  std::string outcome = "{}";        ///< JSON object of a finished training: see finish_job.h
};

/// The files of a job, in its folder.
struct JobFolder {
  JobFolder(const State& state, const std::string& id) : path(state.jobs() / id) {}
  explicit JobFolder(std::filesystem::path folder) : path(std::move(folder)) {}

  std::filesystem::path path;
  std::filesystem::path task() const { return path / "task.json"; }              ///< what the worker is to do
  std::filesystem::path plan() const { return path / "plan.json"; }              ///< what validation has found
  std::filesystem::path options() const { return path / "train.toml"; }          ///< for qing train
  std::filesystem::path search() const { return path / "search.json"; }          ///< scores of a search for settings
  std::filesystem::path error() const { return path / "error.json"; }            ///< why the worker has failed
  std::filesystem::path slurm() const { return path / "slurm.json"; }            ///< the job of Slurm that trains
  std::filesystem::path kubernetes() const { return path / "kubernetes.json"; }  ///< the Job of Kubernetes that trains
  bool on_cluster() const;  ///< whether a cluster trains the job, or has trained it and its end is not noted yet
  std::filesystem::path end() const { return path / "end.json"; }          ///< how a worker on a cluster has ended
  std::filesystem::path outcome() const { return path / "outcome.json"; }  ///< written when all else is
  std::filesystem::path model() const { return path / "model"; }
  std::filesystem::path metrics() const { return model() / "run/metrics.jsonl"; }
  std::filesystem::path results() const { return path / "results.csv"; }
  std::filesystem::path log() const { return path / "log.txt"; }  ///< what the worker prints; may hold texts
  bool has_log() const;                                           ///< whether it has printed anything
  /// Whether model() is that of a finished training. A record of the training that cannot be read now counts as one.
  bool has_model() const;
};

/// The name of the model that a job makes: ft-BASE-SUFFIX-PART, a valid model name in which PART is of the job's id.
std::string model_name(std::string_view base, std::string_view suffix, std::string_view id);

}  // namespace qing::serve
