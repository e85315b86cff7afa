#include "job_runner.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include <qing/serve/common/log.h>
#include <qing/serve/jobs/job_json.h>
#include <qing/serve/jobs/kubernetes_api.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>
#include <qing/tensor/threads.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

// How often jobs and models of other servers are looked for.
constexpr std::chrono::milliseconds kLookTime{1000};
// How often followers get new events.
constexpr std::chrono::milliseconds kFeedTime{200};
// How often a follower without events gets a comment, which keeps proxies from closing the connection.
constexpr std::chrono::seconds kQuietTime{10};
// How often a kept folder, such as one with a log, is looked at.
constexpr std::chrono::hours kLogTime{1};
constexpr std::string_view kRemoved = ".removed-";  // a model's folder that is being removed

void remove_quietly(const fs::path& folder) {
  std::error_code error;
  remove_tree(folder, error);
  if (error) log_line("warning", "folder_not_removed", {{"folder", folder.string()}, {"error", error.message()}});
}

// Removes everything but the log and a trained model, and shortens the log to its end.
void keep_log(const JobFolder& folder) {
  const bool logged = folder.has_log(), trained = folder.has_model();
  try {
    if (logged && FileReader(folder.log()).size() > JobRunner::kMostLog) {
      std::string end = read_file(folder.log());
      end.erase(0, end.size() - JobRunner::kMostLog);
      write_file_atomically(folder.log(), end);
      fs::permissions(folder.log(), fs::perms::owner_read | fs::perms::owner_write);
    }
  } catch (const std::exception& error) {
    log_line("warning", "job_log_not_shortened", {{"folder", folder.path.string()}, {"error", error.what()}});
  }
  std::error_code ignored;
  for (const fs::directory_entry& entry : entries_of(folder.path, ignored)) {
    const bool kept = (logged && entry.path() == folder.log()) || (trained && entry.path() == folder.model());
    if (!kept) remove_quietly(entry.path());
  }
}

}  // namespace

JobRunner::JobRunner(std::shared_ptr<const State> state, std::shared_ptr<Registry> registry, JobOptions options)
    : state_(std::move(state)), registry_(std::move(registry)), options_(std::move(options)), owners_(state_) {
  if (options_.kubernetes && accepts_jobs()) check_kubernetes(*options_.kubernetes);
  owners_.refresh();
}

JobRunner::~JobRunner() { stop(); }

// What a kill has left between two steps.
void JobRunner::tidy_up() {
  std::error_code ignored;
  for (const fs::directory_entry& entry : entries_of(state_->models(), ignored)) {
    if (entry.path().filename().string().starts_with(kRemoved)) remove_quietly(entry.path());
  }
  if (!state_->exists()) return;
  Database database = state_->open();
  for (const std::string& name : JobStore(database).unwanted_models()) {
    try {
      remove_model(database, name);
    } catch (const Error& error) {
      // An alias names it, for example. It must not keep the server from starting.
      log_line("warning", "model_not_removed", {{"model", name}, {"error", error.what()}});
    }
  }
}

// Folders of jobs that ended while nobody worked on them, such as a paused one that was cancelled, and logs whose time
// is over.
void JobRunner::remove_finished(Database& database) {
  JobStore store(database);
  std::error_code ignored;
  for (const fs::directory_entry& entry : entries_of(state_->jobs(), ignored)) {
    const std::string id = entry.path().filename().string();
    if (const auto kept = kept_.find(id); kept != kept_.end() && Clock::now() < kept->second) continue;
    if (!is_final(store.status(id))) continue;
    const JobLock lock(entry.path());
    if (!lock.held()) continue;
    kept_.erase(id);
    try {
      if (!remove_work(database, id)) kept_.emplace(id, Clock::now() + kLogTime);
    } catch (const Error& error) {
      // An alias names its model, for example. It stays for now, and must not hold up what else is watched.
      log_line("warning", "job_not_removed", {{"job", id}, {"error", error.what()}});
      kept_.emplace(id, Clock::now() + kLogTime);
    }
  }
}

// Removes the copies of an ended job's texts, and the model of a cancelled one. The end of a failed job's log and its
// trained model stay for the operator, and the result is false then. The caller holds the job's lock.
bool JobRunner::remove_work(Database& database, const std::string& id) {
  const JobFolder folder(*state_, id);
  const std::optional<TrainingJob> job = JobStore(database).find(id);
  // A server was stopped before the cluster had ended the training.
  cancel_on_cluster(folder);
  {
    const std::lock_guard lock(mutex_);
    unasked_.erase(id);
  }
  if (job && job->status == JobStatus::kCancelled && is_there(state_->models() / job->model)) {
    remove_model(database, job->model);
  }
  const bool young = job && job_time() - job->finished < kLogDays * 24 * 60 * 60;
  if (!young || job->status != JobStatus::kFailed || !(folder.has_log() || folder.has_model())) {
    remove_quietly(folder.path);
    return true;
  }
  keep_log(folder);
  return false;
}

void JobRunner::start() {
  tidy_up();
  threads_.push_back(start_thread([this] { watch(); }));
  if (!accepts_jobs()) return;
  threads_.push_back(start_thread([this] { work(Stage::kPrepare); }));
  for (size_t i = 0; i < options_.at_once; ++i) {
    threads_.push_back(start_thread([this] { work(Stage::kTrain); }));
  }
}

void JobRunner::begin_stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Follower& follower : followers_) follower.stream->end();
  }
  wake_.notify_all();
}

void JobRunner::stop() {
  begin_stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool JobRunner::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void JobRunner::wake() {
  {
    const std::lock_guard lock(mutex_);
    ++wakes_;
  }
  wake_.notify_all();
}

// Until the time has passed, or wake() or stop() is called.
void JobRunner::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [this, before = wakes_] { return stopping_ || wakes_ != before; });
}

void JobRunner::work(Stage stage) {
  std::optional<Database> database;
  while (!stopping()) {
    bool worked = false;
    try {
      if (state_->exists()) {
        if (!database) database.emplace(state_->open());
        worked = run_one(*database, stage);
      }
    } catch (const std::exception& error) {
      log_line("error", "jobs_not_run", {{"error", error.what()}});
      database.reset();
    }
    if (!worked) pause(kLookTime);
  }
}

bool JobRunner::run_one(Database& database, Stage stage) {
  JobStore store(database);
  const bool preparing = stage == Stage::kPrepare;
  // Only the jobs that run next are prepared: the folder of a prepared job holds copies of its texts.
  if (preparing && store.count(JobStatus::kQueued) >= static_cast<std::int64_t>(options_.at_once)) return false;
  for (const std::string& id :
       preparing ? store.waiting({JobStatus::kValidating}) : store.waiting({JobStatus::kRunning, JobStatus::kQueued})) {
    if (rests(id)) continue;
    const JobLock lock(JobFolder(*state_, id).path);
    if (!lock.held()) continue;
    const std::optional<TrainingJob> job = store.find(id);
    const bool begun = job && (job->status == JobStatus::kRunning || job->status == JobStatus::kQueued);
    if (preparing ? job && job->status == JobStatus::kValidating : begun) {
      try {
        preparing ? prepare(database, *job, lock) : train(database, *job, lock);
      } catch (const std::exception& error) {
        // A full disk, for example. It counts as an attempt, so that one job does not hold up the others for ever.
        log_line("error", "job_not_run", {{"job", id}, {"error", error.what()}});
        if (!is_trained(*job)) store.add_attempt(id, 0, true);
        settle_failure(database, *job, {.code = kWorkerFaulted});
      }
    }
    if (!job || is_final(store.status(id))) remove_work(database, id);
    return true;
  }
  return false;
}

void JobRunner::watch() {
  std::optional<Database> database;
  auto looked = Clock::time_point{};
  while (!stopping()) {
    std::list<Follower> followers;
    {
      const std::lock_guard lock(mutex_);
      followers.swap(followers_);
    }
    try {
      if (!database && state_->exists()) database.emplace(state_->open());
      if (Clock::now() - looked >= kLookTime) {
        looked = Clock::now();
        share_models();
        if (database) remove_finished(*database);
      }
      for (Follower& follower : followers) feed(*database, follower);
    } catch (const std::exception& error) {
      log_line("error", "jobs_not_watched", {{"error", error.what()}});
      database.reset();
    }
    std::erase_if(followers, [](const Follower& follower) { return follower.stream->closed(); });
    const bool busy = !followers.empty();
    {
      const std::lock_guard lock(mutex_);
      followers_.splice(followers_.end(), followers);
      if (stopping_) {
        for (const Follower& follower : followers_) follower.stream->end();
      }
    }
    pause(busy ? kFeedTime : kLookTime);
  }
}

// Serves the models of other servers' jobs, and no more those that other servers have removed.
void JobRunner::share_models() {
  owners_.refresh();
  for (const std::string& name : owners_.names()) share_model(name);
  for (const std::string& name : owners_.released()) {
    try {
      if (registry_->find(name)) registry_->forget(name);
      owners_.drop(name);
      unshared_.erase(name);
    } catch (const ValueError&) {
      // An alias names it. It stays until the alias goes.
    }
  }
}

// The registry logs why a model is not served, and keeps the reason. What may pass is tried again after a rest.
void JobRunner::share_model(const std::string& name) {
  if (registry_->find(name)) {
    unshared_.erase(name);
    return;
  }
  if (const auto rest = unshared_.find(name); rest != unshared_.end() && Clock::now() < rest->second.until) return;
  try {
    if (versions_below(state_->models() / name).empty()) return;  // its job registers it
    registry_->discover(name);
  } catch (const DamagedVersion&) { unshared_[name].until = Clock::time_point::max(); } catch (const std::exception&) {
    unshared_[name].lengthen(options_.rest);
  }
}

void JobRunner::follow(const std::string& job, std::int64_t after, std::shared_ptr<BodyStream> stream) {
  {
    const std::lock_guard lock(mutex_);
    followers_.push_back({job, after, std::move(stream), Clock::now()});
    if (stopping_) followers_.back().stream->end();
  }
  wake();
}

void JobRunner::feed(Database& database, Follower& follower) {
  constexpr std::int64_t kMost = 200;
  JobStore store(database);
  const bool ended = is_final(store.status(follower.job));  // read first: its last event is there then
  const std::vector<JobEvent> events = store.events_after(follower.job, follower.after, kMost);
  for (const JobEvent& event : events) {
    follower.stream->write(server_sent(follower.job, event));
    follower.after = event.number;
    follower.sent = Clock::now();
  }
  if (ended && static_cast<std::int64_t>(events.size()) < kMost) {
    follower.stream->write("data: [DONE]\n\n");
    follower.stream->end();
    follower.stream->close();
  } else if (Clock::now() - follower.sent > kQuietTime) {
    follower.stream->write(":\n\n");
    follower.sent = Clock::now();
  }
}

void JobRunner::remove_model(Database& database, const std::string& name) {
  const fs::path folder = state_->models() / name, aside = state_->models() / (std::string(kRemoved) + name);
  if (registry_->find(name)) registry_->forget(name);
  if (is_there(folder)) {
    std::error_code error;
    fs::rename(folder, aside, error);
    if (error) throw IoError(folder.string() + ": cannot be removed: " + error.message());
    sync_folder(state_->models());
  }
  owners_.release(database, name);
  remove_quietly(aside);
}

}  // namespace qing::serve
