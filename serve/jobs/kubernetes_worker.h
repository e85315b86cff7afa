// A training that Kubernetes runs in pods of a cluster.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <qing/serve/jobs/job_worker.h>
#include <qing/serve/jobs/kubernetes_api.h>
#include <qing/serve/jobs/kubernetes_look.h>
#include <qing/serve/jobs/kubernetes_task.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// Which object of Kubernetes trains a job, as its folder records it.
struct KubernetesRecord {
  KubernetesObject object;
  std::string attempt;  ///< value of the object's label kAttemptLabel
  std::string uid;      ///< empty: it may not have been created yet
};

/// An object of Kubernetes that trains a job of this server. The job's folder records it before it is created, so that
/// it is found again after a restart of the server, and the name of the object is the job's, so that the API server
/// refuses a second one. It goes on while no server watches it. Not thread-safe.
class KubernetesWorker : public JobWorker {
 public:
  /// Tells the job's owner something: a level, "info" or "warn", and a message.
  using Tell = std::function<void(const char* level, const std::string& message)>;

  /// Finds the object that the folder's record names, or creates one once the object of an earlier attempt is gone.
  /// `on_create` is told the kind and the name of a new one. KubernetesError, also for an object of the name that qing
  /// has not made; ValueError, IoError, DataError.
  KubernetesWorker(KubernetesApi api, const KubernetesTask& task, JobFolder folder,
                   const std::function<void(const std::string& object)>& on_create, Tell tell);

  /// While the API server does not answer, the training counts as running. The end is the one that the training
  /// recorded in the job's folder. If it recorded none, it is that of its pod, and error.json says why. The job's owner
  /// is told each reason for which a pod waits once.
  std::optional<WorkerEnd> poll() override;
  /// Deletes the object: the training gets SIGTERM, which asks for a checkpoint, and a minute. What the API server
  /// refuses is tried again by poll().
  void stop(bool for_good) override;
  void kill() override;
  bool outlives_server() const override { return true; }

  const KubernetesRecord& record() const { return record_; }

 private:
  boost::json::object begin(const KubernetesTask& task);
  void remove_earlier(const boost::json::object& earlier) const;
  void look();
  boost::json::array pods();
  void tell_wait(const KubernetesLook& seen);
  std::optional<WorkerEnd> end_of(const KubernetesLook& seen);
  WorkerEnd end_without_object() const;
  WorkerEnd end_by(std::string_view reason) const;

  KubernetesApi api_;
  const JobFolder folder_;
  const Tell tell_;
  KubernetesRecord record_;
  bool stops_ = false;  // it is asked to end
  std::chrono::steady_clock::time_point next_look_;
  std::chrono::milliseconds outage_{0};  // the wait behind the last look, while the API server does not answer
  std::optional<std::chrono::steady_clock::time_point> ended_at_;  // when the pod was first seen to have ended
  bool blind_ = false;                                             // it may not list pods
  std::string told_wait_;
  std::string lost_by_;  // why the pod goes away, as it said while it was there
  std::optional<WorkerEnd> end_;
};

/// Deletes the object that the folder's record names, if there is one. KubernetesError, IoError, DataError.
void cancel_recorded(const JobFolder& folder, const KubernetesApi& api);

}  // namespace qing::serve
