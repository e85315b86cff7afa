// The part of the runner that starts a job's worker, and leaves a job to later when that or its end fails for now.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include <qing/serve/jobs/job_runner.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The longest wait between attempts to finish a trained job or to serve a model.
constexpr milliseconds kLongestRest = std::chrono::minutes(10);
// A server tries at least so often, even if it was off while the time to finish the job passed.
constexpr size_t kLeastAttempts = 3;
// The message of the event from which the time to finish a job counts. rest() finds the event by this text. Changing
// the text begins the time of each waiting job again.
constexpr const char* kUnfinished = "The model is trained, but the server cannot finish the job now. It tries again.";

}  // namespace

std::unique_ptr<JobWorker> JobRunner::worker_for(Database& database, const TrainingJob& job, const std::string& stage,
                                                 const JobLock& lock) {
  const JobFolder folder(*state_, job.id);
  const bool begun = is_there(folder.metrics()) || is_there(folder.search());
  const auto tell_goes_on = [&] {
    if (stage != "train" || job.status != JobStatus::kRunning || !begun) return;
    JobStore(database).tell(job.id, "info", "The job goes on from its last checkpoint");
  };
  if (stage == "train" && (options_.on_cluster() || folder.on_cluster())) {
    return cluster_worker_for(database, job, tell_goes_on);
  }
  std::error_code ignored;
  fs::remove(folder.error(), ignored);
  auto worker = std::make_unique<WorkerProcess>(options_.worker, stage, folder.path, lock, options_.limits);
  tell_goes_on();
  return worker;
}

void JobRunner::Rest::lengthen(milliseconds first) {
  wait = count == 0 ? first : std::min(2 * wait, kLongestRest);
  until = Clock::now() + wait;
  ++count;
}

// Leaves a trained job to later, with growing waits, so that other jobs go on. False when its time is over, which
// counts from the first failure in any server.
bool JobRunner::rest(JobStore& store, const TrainingJob& job) {
  size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    Rest& rest = rests_[job.id];
    rest.lengthen(options_.rest);
    count = rest.count;
  }
  const std::int64_t first = store.first_event(job.id, kUnfinished);
  if (first != 0) {
    return count < kLeastAttempts || std::chrono::seconds(job_time() - first) < options_.finish_within;
  }
  store.tell(job.id, "warn", kUnfinished);
  return true;
}

bool JobRunner::rests(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto rests_in = [&](const std::map<std::string, Rest>& rests) {
    const auto found = rests.find(id);
    return found != rests.end() && Clock::now() < found->second.until;
  };
  return rests_in(rests_) || rests_in(unasked_);
}

}  // namespace qing::serve
