// The process in which a job works: `qing work`.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include <qing/serve/jobs/job_options.h>
#include <qing/serve/jobs/job_worker.h>

namespace qing::serve {

/// An exclusive lock on a job's folder (flock). It is shared with the worker that gets it, so that it is held until
/// both processes are gone, however they end.
class JobLock {
 public:
  /// Makes the folder unless it is there. IoError.
  explicit JobLock(const std::filesystem::path& folder);
  ~JobLock();
  JobLock(const JobLock&) = delete;
  JobLock& operator=(const JobLock&) = delete;
  bool held() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// A running worker. It has the folder's files and the lock, and none of this process's other files; its environment
/// holds LD_LIBRARY_PATH, QING_ISA and TMPDIR alone. The kernel kills it when the thread that started it ends. Not
/// thread-safe.
class WorkerProcess : public JobWorker {
 public:
  /// Starts `program` work STAGE in the folder. IoError.
  WorkerProcess(const std::filesystem::path& program, const std::string& stage, const std::filesystem::path& folder,
                const JobLock& lock, const WorkerLimits& limits);
  /// Kills it unless it has ended.
  ~WorkerProcess() override;

  std::optional<WorkerEnd> poll() override;
  void stop(bool for_good) override;  ///< SIGTERM in either case
  void kill() override;               ///< SIGKILL
  bool outlives_server() const override { return false; }

 private:
  void signal(int number);

  pid_t process_;
  std::optional<WorkerEnd> end_;
};

/// For the worker itself, first of all: takes the lowest priority (nice 10, SCHED_BATCH), the limits, and the lead when
/// memory runs out; ends with `parent`, the process that started it. IoError when a limit cannot be set.
void limit_worker(const WorkerLimits& limits, pid_t parent);

}  // namespace qing::serve
