// The part of the runner that gives trainings to a cluster.
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/log.h>
#include <qing/serve/jobs/cluster_record.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/jobs/kubernetes_worker.h>
#include <qing/serve/jobs/slurm_task.h>
#include <qing/serve/jobs/slurm_worker.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {

// A training that a cluster runs has a record in the job's folder, and goes on there whatever the options of this
// server say: it must not be trained twice at the same time.
std::unique_ptr<JobWorker> JobRunner::cluster_worker_for(Database& database, const TrainingJob& job,
                                                         const std::function<void()>& tell_goes_on) {
  const JobFolder folder(*state_, job.id);
  const auto stopped = [this] { return stopping(); };
  const bool slurm = is_there(folder.slurm()) || (options_.slurm && !is_there(folder.kubernetes()));
  try {
    std::unique_ptr<JobWorker> worker;
    if (slurm) {
      const SlurmOptions options = options_.slurm.value_or(SlurmOptions{});
      worker = std::make_unique<SlurmWorker>(
          Slurm(options, stopped), slurm_task(job, folder, options_.worker, options_.limits, options),
          [&](const std::string& id) {
            tell_goes_on();
            JobStore(database).tell(job.id, "info", fmt::format("Submitted to Slurm as job {}", id));
          });
    } else {
      const KubernetesOptions options = options_.kubernetes.value_or(KubernetesOptions{});
      worker = std::make_unique<KubernetesWorker>(
          KubernetesApi(options, stopped), kubernetes_task(job, options_.limits, options), folder,
          [&](const std::string& object) {
            tell_goes_on();
            JobStore(database).tell(job.id, "info", fmt::format("Submitted to Kubernetes as {}", object));
          },
          [&database, id = job.id](const char* level, const std::string& message) {
            JobStore(database).tell(id, level, message);
          });
    }
    const std::lock_guard guard(mutex_);
    unasked_.erase(job.id);
    return worker;
  } catch (const ClusterError& error) {
    if (error.refused()) {
      write_error(folder, error.code(), fmt::format("{} did not take the training: {}", error.cluster(), error.what()));
    }
    throw;
  }
}

// Leaves a job that could not be given to a cluster to later, with growing waits. An outage of the cluster costs no
// attempt.
void JobRunner::put_off(JobStore& store, const TrainingJob& job, const ClusterError& error) {
  if (stopping()) return;  // the request was ended
  log_line("warning", "job_not_submitted", {{"job", job.id}, {"error", error.what()}});
  size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    Rest& rest = unasked_[job.id];
    rest.lengthen(options_.rest);
    count = rest.count;
  }
  if (count == 1) {
    store.tell(job.id, "warn", fmt::format("{} cannot be asked now. The server tries again.", error.cluster()));
  }
}

void JobRunner::cancel_on_cluster(const JobFolder& folder) {
  if (!folder.on_cluster()) return;
  const auto stopped = [this] { return stopping(); };
  cancel_recorded(folder, Slurm(options_.slurm.value_or(SlurmOptions{}), stopped));
  cancel_recorded(folder, KubernetesApi(options_.kubernetes.value_or(KubernetesOptions{}), stopped));
}

// Removes a training from its cluster. This is its last step, so that a server that is killed before finds the end
// again. Slurm keeps an ended job for a time that its administrator has set. If an object of Kubernetes cannot be
// removed now, the next attempt removes it, or Kubernetes does a day later.
void JobRunner::forget_end(const JobFolder& folder) {
  try {
    if (is_there(folder.kubernetes())) cancel_on_cluster(folder);
  } catch (const ClusterError& error) {
    log_line("warning", "kubernetes_not_asked", {{"object", folder.path.filename().string()}, {"error", error.what()}});
  }
  forget_recorded(folder);
}

}  // namespace qing::serve
