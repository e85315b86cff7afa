// A training that Slurm runs on the nodes of a cluster.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <qing/serve/jobs/job_worker.h>
#include <qing/serve/jobs/slurm.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// A job of Slurm that trains a job of this server. The job's folder records which one it is, so that it is found again
/// after a restart of the server. It goes on while no server watches it. Not thread-safe.
class SlurmWorker : public JobWorker {
 public:
  /// Finds the job of Slurm that the folder's record names, or one with the task's name that waits or runs, or submits
  /// the task. `on_submit` is told the id of a new one. SlurmError, IoError.
  SlurmWorker(Slurm slurm, const SlurmTask& task, const std::function<void(const std::string& id)>& on_submit);

  /// While Slurm does not answer, the job is taken to run. What it left in the folder says how it ended, else its state
  /// does; error.json says why then.
  std::optional<WorkerEnd> poll() override;
  /// A waiting job is cancelled. What Slurm refuses is tried again by poll().
  void stop(bool for_good) override;
  void kill() override;
  bool outlives_server() const override { return true; }

  const std::string& id() const { return id_; }

 private:
  enum class Wish { none, stop, cancel };
  void carry_out(SlurmState state);
  WorkerEnd end_of(const SlurmLook& look) const;

  Slurm slurm_;
  JobFolder folder_;
  std::string id_;
  Wish wish_ = Wish::none;
  std::chrono::steady_clock::time_point next_look_, next_cancel_;
  std::optional<WorkerEnd> end_;
  bool told_ = false;  // that Slurm does not answer
};

/// Cancels the job of Slurm that the folder's record names, if there is one. SlurmError, IoError, DataError.
void cancel_recorded(const JobFolder& folder, const Slurm& slurm);

}  // namespace qing::serve
