// The part of the runner that takes one job through its worker's stages.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_text.h>
#include <qing/serve/common/log.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_progress.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/registry/model_manifest.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPollTime{100};

// Why the worker could not go on. It had no time to say so when it was killed, and there was none when the server
// failed.
JobError error_of(const JobFolder& folder, const WorkerEnd& end) {
  if (end.signal == 0 && is_there(folder.error())) {
    const json::object said = read_object_file(folder.error());
    return {text_member_of(said, "code"), text_member_of(said, "message"), text_member_of(said, "param")};
  }
  if (end.signal == SIGKILL) {
    return {"worker_killed",
            "The training process was killed, most likely because the memory ran out. Use a smaller batch size or a "
            "smaller model, or ask the operator for more memory.",
            {}};
  }
  if (end.signal == 0 && end.code == kWorkerStopped) {
    return {"worker_stopped", "Something outside of this server stopped the training before it got any further.", {}};
  }
  if (end.signal == 0 && end.code == kWorkerFaulted) {
    return {"job_not_run",
            "The server could not run the training. The operator finds more in the server's log, under job_not_run.",
            {}};
  }
  const std::string how =
      end.signal == 0 ? fmt::format("with code {}", end.code) : fmt::format("by signal {}", end.signal);
  const std::string log = folder.has_log() ? fmt::format(
                                                 "The operator finds more in {} of the job's folder, which is "
                                                 "kept for {} days.",
                                                 folder.log().filename().string(), JobRunner::kLogDays)
                                           : "It has printed nothing.";
  return {"worker_ended", fmt::format("The training process ended {}. {}", how, log), {}};
}

// Whether the model's files differ from those that the worker has made.
bool is_damaged(const fs::path& model) {
  try {
    check_manifest(model);
    return false;
  } catch (const DataError&) { return true; }
}

// Whether the training or its search for settings has made steps since the job was read.
bool gets_on(JobStore& store, const TrainingJob& before, const SearchProgress& searched_before,
             const SearchProgress& searched) {
  const std::optional<TrainingJob> now = store.find(before.id);
  return now && (now->step > before.step || searched.is_further_than(searched_before));
}

// The file of the job's metrics, which is made once however often this is called.
std::string keep_results(Database& database, const State& state, const TrainingJob& job, const fs::path& results) {
  FileStore store(database, state);
  const NewFile file{job.project, job.id + "-metrics.csv", "fine-tune-results", 0};
  FileStore::ListOptions options;
  options.purpose = file.purpose;
  for (const StoredFile& stored : store.list(job.project, options).files) {
    if (stored.name == file.name) return stored.id;
  }
  Upload upload(state.files());
  upload.write(read_file(results));
  return store.create(file, upload, std::numeric_limits<std::uint64_t>::max()).id;
}

}  // namespace

void JobRunner::prepare(Database& database, const TrainingJob& job, const JobLock& lock) {
  JobStore store(database);
  const JobFolder folder(*state_, job.id);
  const auto content = [&](const std::string& id, const char* field) -> std::optional<fs::path> {
    const std::optional<StoredFile> file = FileStore(database, *state_).get(job.project, id);
    if (file) return FileStore(database, *state_).content(id);
    store.fail(job.id, {"file_not_found", fmt::format("{}: the file {} was deleted", field, id), field});
    return std::nullopt;
  };
  json::object task{
      {"options", json::parse(job.options)}, {"hyperparameters", json::parse(job.hyperparameters)}, {"seed", job.seed}};
  for (const auto& [field, id] :
       {std::pair("training_file", job.training_file), std::pair("validation_file", job.validation_file)}) {
    if (id.empty()) continue;
    const std::optional<fs::path> path = content(id, field);
    if (!path) return;
    task[field] = fs::absolute(*path).string();
  }
  if (job.base != TrainingJob::kScratch) {
    task["base"] = job.base;
    task["base_folder"] = fs::absolute(registry_->folder_of(job.base, job.base_version)).string();
  }
  write_file_atomically(folder.task(), json::serialize(task));
  const std::optional<WorkerEnd> end = attend(database, job, "prepare", lock);
  if (!end || stopping() || store.status(job.id) != JobStatus::kValidating) return;
  if (end->code != kWorkerDone || end->signal != 0) {
    store.add_attempt(job.id, 0, true);
    return settle_failure(database, job, *end);
  }
  const json::object plan = read_object_file(folder.plan());
  store.validated(job.id, json_text(plan.at("hyperparameters")), plan.at("steps").to_number<std::int64_t>(),
                  fmt::format("Files validated: {} to train on, {} to validate on, {} ({})",
                              how_many(plan.at("training_texts").to_number<std::int64_t>(), "text"),
                              plan.at("validation_texts").to_number<std::int64_t>(),
                              how_many(plan.at("labels").as_array().size(), "label"), text_member_of(plan, "problem")));
  wake();
}

void JobRunner::train(Database& database, const TrainingJob& job, const JobLock& lock) {
  JobStore store(database);
  const JobFolder folder(*state_, job.id);
  // worker_for() tells when a running job goes on.
  const char* const message = job.status == JobStatus::kRunning ? ""
                              : job.step > 0                    ? "Fine-tuning job resumed"
                                                                : "Fine-tuning job started";
  if (!store.advance(job.id, {JobStatus::kQueued, JobStatus::kRunning}, JobStatus::kRunning, message)) return;
  wake();  // another job may be prepared
  if (is_there(state_->models() / job.model / "1")) return finish(database, job);
  const auto begun = Clock::now();
  const SearchProgress searched = search_progress(folder);
  std::optional<WorkerEnd> end;
  try {
    end = attend(database, job, "train", lock);
  } catch (const ClusterError& error) {
    if (error.refused()) throw;
    return put_off(store, job, error);  // it is no attempt, since nothing was submitted
  }
  const auto spent = std::chrono::duration_cast<milliseconds>(Clock::now() - begun);
  if (!end) {
    store.add_attempt(job.id, spent.count(), false);
    return;
  }
  // A stop of this server does not end a job of a cluster, so that its end is noted while the server stops, too.
  const bool on_cluster = folder.on_cluster();
  const bool done = end->code == kWorkerDone && end->signal == 0;
  const bool wanted = (on_cluster || !stopping()) && store.status(job.id) == JobStatus::kRunning;
  // A cluster asks for a checkpoint when the job's time is over or when it needs the node. The rest of the training is
  // another job of the cluster.
  const bool goes_on = wanted && on_cluster && end->code == kWorkerStopped && end->signal == 0 &&
                       gets_on(store, job, searched, search_progress(folder));
  store.add_attempt(job.id, spent.count(), wanted && !done && !goes_on);
  if (wanted && !goes_on) settle_end(database, job, *end, spent);
  // The last step: a server that is killed before it finds the end again.
  if (on_cluster) forget_end(folder);
}

void JobRunner::settle_end(Database& database, const TrainingJob& job, const WorkerEnd& end, milliseconds spent) {
  if (end.code == kWorkerDone && end.signal == 0) return finish(database, job);
  const std::int64_t minutes = options_.on_cluster() ? 0 : static_cast<std::int64_t>(options_.minutes);
  if (minutes > 0 && !is_trained(job) && job.milliseconds + spent.count() >= minutes * 60'000) {
    JobStore(database).fail(
        job.id, {"time_limit",
                 fmt::format("The training took longer than the limit of {} minutes of this server. Use fewer "
                             "epochs, a smaller model or fewer texts.",
                             minutes),
                 {}});
    return;
  }
  settle_failure(database, job, end);
}

// The worker's end; nothing when it goes on without this server, which stops. It is asked to stop when the job's status
// changes, at the time limit, and when the runner stops.
std::optional<WorkerEnd> JobRunner::attend(Database& database, const TrainingJob& job, const std::string& stage,
                                           const JobLock& lock) {
  JobStore store(database);
  const JobFolder folder(*state_, job.id);
  const JobStatus expected = store.status(job.id);
  JobProgress progress(folder.metrics(), job.step, job.steps);
  const auto report = [&] {
    if (stage != "train") return;
    const JobProgress::News news = progress.read();
    if (news.step > 0) store.progress(job.id, news.step, news.estimated_finish, news.events);
  };
  const auto begun = Clock::now();
  const std::unique_ptr<JobWorker> worker = worker_for(database, job, stage, lock);
  // The time of a training on a cluster is the cluster's, which does not count the wait for a node.
  const auto limit = options_.minutes == 0 || is_trained(job) || worker->outlives_server()
                         ? Clock::time_point::max()
                         : begun + std::chrono::minutes(options_.minutes) - milliseconds(job.milliseconds);
  auto kill_at = Clock::time_point::max(), report_at = begun;
  bool asked = false;
  for (;;) {
    if (stopping() && worker->outlives_server()) return std::nullopt;  // the next start finds it
    if (const std::optional<WorkerEnd> end = worker->poll()) {
      report();
      log_line("info", "job_worker_ended",
               {{"job", job.id},
                {"stage", stage},
                {"code", std::int64_t{end->code}},
                {"signal", std::int64_t{end->signal}}});
      return end;
    }
    const auto now = Clock::now();
    const JobStatus status = store.status(job.id);
    const bool unwanted = stopping() || now >= limit || status != expected;
    if (unwanted && !std::exchange(asked, true)) {
      worker->stop(status == JobStatus::kCancelled);
      kill_at = now + options_.grace;
    }
    if (now >= kill_at) worker->kill();
    if (now >= report_at) {
      report();
      report_at = now + 5 * kPollTime;
    }
    std::this_thread::sleep_for(kPollTime);
  }
}

void JobRunner::settle_failure(Database& database, const TrainingJob& job, const WorkerEnd& end) {
  JobStore store(database);
  const JobError error = error_of(JobFolder(*state_, job.id), end);
  const std::int64_t failures = job.failures + 1;
  const bool for_good = end.signal == 0 && end.code == kWorkerFailed;
  if (is_trained(job)) {
    if (for_good) return give_up(database, job, error);
    if (rest(store, job)) return;
    return give_up(database, job,
                   {"not_finished",
                    fmt::format("The model is trained, but the server could not finish the job in {} hours. The "
                                "operator finds the reason in the server's log.",
                                std::chrono::duration_cast<std::chrono::hours>(options_.finish_within).count()),
                    {}});
  }
  if (for_good || failures >= static_cast<std::int64_t>(options_.attempts)) {
    store.fail(job.id, error);
    return;
  }
  store.tell(job.id, "warn", fmt::format("Attempt {} of {} failed: {}", failures, options_.attempts, error.message));
  pause(std::chrono::seconds(failures));
}

// Whether the training has ended and only the last stage is left. A passing error must not cost the trained model.
bool JobRunner::is_trained(const TrainingJob& job) const {
  return is_there(state_->models() / job.model / "1") || JobFolder(*state_, job.id).has_model();
}

// Fails a job whose model is trained. The model goes to the job's folder, where a person can take it. ValueError, with
// nothing changed, while an alias names the model: it stays served, and the job is looked at again after its rest.
void JobRunner::give_up(Database& database, const TrainingJob& job, JobError error) {
  const JobFolder folder(*state_, job.id);
  const fs::path made = state_->models() / job.model / "1";
  if (registry_->find(job.model)) registry_->forget(job.model);
  if (is_there(made) && !is_there(folder.model())) {
    fs::rename(made, folder.model());
    sync_folder(folder.path);
  }
  remove_model(database, job.model);
  log_line("error", "job_given_up", {{"job", job.id}, {"code", error.code}});
  error.message += fmt::format(
      " The model is kept for {} days as jobs/{}/model in the server's state folder. The operator can serve it by "
      "copying that folder to {}/1 in the folder of models.",
      kLogDays, job.id, job.model);
  JobStore(database).fail(job.id, error);
  const std::lock_guard lock(mutex_);
  rests_.erase(job.id);
}

// Whatever step a kill interrupts, the next call completes it.
void JobRunner::finish(Database& database, TrainingJob job) {
  JobStore store(database);
  const JobFolder folder(*state_, job.id);
  const fs::path model = state_->models() / job.model;
  owners_.claim(database, job.model, job.project, job.id);
  if (!is_there(model / "1")) {
    fs::create_directories(model);
    fs::rename(folder.model(), model / "1");
    sync_folder(model);
    sync_folder(state_->models());
  }
  try {
    registry_->discover(job.model);
  } catch (const DamagedVersion& error) {
    log_line("error", "job_model_not_loaded", {{"job", job.id}, {"error", error.what()}});
    if (is_damaged(model / "1")) {
      remove_model(database, job.model);
      store.fail(job.id, {"model_damaged", "The files of the trained model are damaged. Train it again.", {}});
      return;
    }
    const std::string why = without_place(without_place(error.what(), model / "1"), state_->folder());
    return give_up(database, job,
                   {"model_not_served", fmt::format("The trained model cannot be served: {}.", why), {}});
  }
  try {
    const json::object outcome = read_object_file(folder.outcome());
    const json::value* tokens = outcome.if_contains("trained_tokens");
    if (tokens == nullptr || !tokens->is_int64()) throw DataError("outcome.json lacks trained_tokens");
    job.trained_tokens = tokens->get_int64();
    job.outcome = json_text(outcome);
  } catch (const DataError& error) {
    log_line("error", "job_outcome_not_read", {{"job", job.id}, {"error", error.what()}});
    return give_up(database, job, {"outcome_damaged", "The record of the training's results is damaged.", {}});
  }
  job.result_file = keep_results(database, *state_, job, folder.results());
  if (!store.succeed(job)) remove_model(database, job.model);  // it was cancelled meanwhile
  const std::lock_guard lock(mutex_);
  rests_.erase(job.id);
}

}  // namespace qing::serve
