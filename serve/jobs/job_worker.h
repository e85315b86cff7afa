// What trains a job: a process of this machine or a job of a cluster.
#pragma once

#include <optional>

namespace qing::serve {

/// How a worker ended.
struct WorkerEnd {
  int code = 0;    ///< what it returned
  int signal = 0;  ///< what killed it; 0: nothing
};

/// The exit codes of `qing work`.
enum WorkerCode : int {
  kWorkerDone = 0,
  kWorkerFailed = 1,   ///< for good: error.json says why
  kWorkerFaulted = 3,  ///< by something that may pass, such as a full disk: error.json says why
  kWorkerStopped = 4,  ///< by SIGTERM, with a checkpoint
};

/// A running worker. Not thread-safe.
class JobWorker {
 public:
  JobWorker() = default;
  virtual ~JobWorker() = default;
  JobWorker(const JobWorker&) = delete;
  JobWorker& operator=(const JobWorker&) = delete;

  /// Nothing while it runs.
  virtual std::optional<WorkerEnd> poll() = 0;
  /// Asks it to end: at a checkpoint, or anyhow when the job is cancelled `for_good`.
  virtual void stop(bool for_good) = 0;
  /// Ends it at once. May be called again and again.
  virtual void kill() = 0;
  /// Whether it goes on without this server, so that a stop of the server leaves it alone.
  virtual bool outlives_server() const = 0;
};

}  // namespace qing::serve
