// The part of the runner that starts a job's worker, and leaves a job to later when that or its end fails for now.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/common/log.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/jobs/slurm_task.h>
#include <qing/serve/jobs/slurm_worker.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
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

void tell(JobStore& store, const std::string& id, const char* level, std::string message) {
  JobEvent event;
  event.level = level;
  event.message = std::move(message);
  store.add_event(id, event);
}

}  // namespace

// A training that Slurm runs has a record in the job's folder, and goes on there whatever the options of this server
// say: it must not be trained twice at the same time.
std::unique_ptr<JobWorker> JobRunner::worker_for(Database& database, const TrainingJob& job, const std::string& stage,
                                                 const JobLock& lock) {
  const JobFolder folder(*state_, job.id);
  JobStore store(database);
  const bool begun = is_there(folder.metrics()) || is_there(folder.search());
  const auto tell_goes_on = [&] {
    if (stage == "train" && job.status == JobStatus::kRunning && begun) {
      tell(store, job.id, "info", "The job goes on from its last checkpoint");
    }
  };
  if (stage == "train" && (options_.slurm || is_there(folder.cluster()))) {
    const SlurmOptions slurm = options_.slurm.value_or(SlurmOptions{});
    const auto tell_submitted = [&](const std::string& id) {
      tell_goes_on();
      tell(store, job.id, "info", fmt::format("Submitted to Slurm as job {}", id));
    };
    const SlurmTask task = slurm_task(job, folder, options_.worker, options_.limits, slurm);
    try {
      auto worker = std::make_unique<SlurmWorker>(Slurm(slurm, [this] { return stopping(); }), task, tell_submitted);
      const std::lock_guard guard(mutex_);
      unasked_.erase(job.id);
      return worker;
    } catch (const SlurmError& error) {
      if (error.refused()) {
        write_file_atomically(
            folder.error(),
            json::serialize(json::object{{"code", "slurm_refused"},
                                         {"message", fmt::format("Slurm did not take the training: {}", error.what())},
                                         {"param", ""}}));
      }
      throw;
    }
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
  tell(store, job.id, "warn", kUnfinished);
  return true;
}

// Leaves a job that could not be given to Slurm to later, with growing waits. Slurm's outage costs no attempt.
void JobRunner::put_off(JobStore& store, const TrainingJob& job, const SlurmError& error) {
  if (stopping()) return;  // the command was ended
  log_line("warning", "job_not_submitted", {{"job", job.id}, {"error", error.what()}});
  size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    Rest& rest = unasked_[job.id];
    rest.lengthen(options_.rest);
    count = rest.count;
  }
  if (count == 1) tell(store, job.id, "warn", "Slurm cannot be asked now. The server tries again.");
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
