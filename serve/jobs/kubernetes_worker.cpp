#include "kubernetes_worker.h"

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/log.h>
#include <qing/serve/common/random_id.h>
#include <qing/serve/jobs/cluster_record.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kAttemptLetters = 16;
// How long a new attempt waits until the pods of the earlier one are gone. Then the job is tried again later.
constexpr std::chrono::seconds kEarlierTime{10};
constexpr milliseconds kEarlierLook{200}, kLongestOutage = std::chrono::minutes(1);

constexpr EndReason kPodReasons[] = {
    {"OOMKilled", kWorkerFailed, "memory_limit",
     "It needs more memory than a pod may use on the cluster. Use a smaller batch size, shorter texts (max_length) or "
     "a smaller model."},
    {"DeadlineExceeded", kWorkerFaulted, "time_limit",
     "It took longer than its time on the cluster. Ask for more minutes, or use fewer epochs or a smaller model."},
    {"Evicted", kWorkerFaulted, "kubernetes_evicted", "Its node ran short of memory or disk, and its pod was evicted."},
    {"EvictionByEvictionAPI", kWorkerFaulted, "kubernetes_evicted", "Its pod was evicted, as when a node is drained."},
    {"Preempting", kWorkerFaulted, "kubernetes_preempted", "Another pod of the cluster took its place."},
    {"PreemptionByScheduler", kWorkerFaulted, "kubernetes_preempted", "Another pod of the cluster took its place."},
    {"DeletionByTaintManager", kWorkerFaulted, "kubernetes_node_failed", "Its node failed or was taken away."},
    {"DeletionByPodGC", kWorkerFaulted, "kubernetes_node_failed", "Its node failed or was taken away."},
    {"TerminationByKubelet", kWorkerFaulted, "kubernetes_node_failed", "Its node was shut down."},
    {"NodeLost", kWorkerFaulted, "kubernetes_node_failed", "Its node does not answer."},
    {"NodeShutdown", kWorkerFaulted, "kubernetes_node_failed", "Its node was shut down."},
    {"Terminated", kWorkerFaulted, "kubernetes_node_failed", "Its node was shut down."},
    {"StartError", kWorkerFaulted, "kubernetes_not_started",
     "Its container did not start. The operator finds more with kubectl describe pod."},
    {"ContainerCannotRun", kWorkerFaulted, "kubernetes_not_started",
     "Its container did not start. The operator finds more with kubectl describe pod."},
    {"BackoffLimitExceeded", kWorkerFaulted, "kubernetes_lost", "Its pod is gone, and it has left no result."},
    {"", kWorkerFaulted, "kubernetes_lost", "Its pod is gone, and it has left no result."},
    {"deleted", kWorkerFailed, "kubernetes_deleted", "Someone deleted it on the cluster. Make the job again."},
};

// What the reason of a wait means for the owner of the job.
std::string_view meaning_of(std::string_view reason) {
  if (reason == "Unschedulable") return "No node has room for it now.";
  if (reason == "Suspended") return "It is suspended on the cluster.";
  if (reason == "ImagePullBackOff" || reason == "ErrImageNeverPull" || reason == "InvalidImageName") {
    return "Its image cannot be pulled. The operator finds more in the server's log, under kubernetes_pod_waits.";
  }
  return "The operator finds more in the server's log, under kubernetes_pod_waits.";
}

std::optional<KubernetesRecord> record_of(const JobFolder& folder) {
  if (!is_there(folder.kubernetes())) return std::nullopt;
  const json::object read = read_object_file(folder.kubernetes());
  const auto text = [&](std::string_view name) { return text_member_of(read, name); };
  return KubernetesRecord{
      {text("kind") == kind_name(KubernetesKind::mpi_job) ? KubernetesKind::mpi_job : KubernetesKind::job,
       text("namespace"), text("name")},
      text("attempt"),
      text("uid")};
}

// What the options' files say. A file that cannot be read now, such as a token that is replaced, is no refusal.
template <class Read> auto from_files(const Read& read) {
  try {
    return read();
  } catch (const Error& error) { throw KubernetesError(printable(error.what()), false); }
}

void write_record(const JobFolder& folder, const KubernetesRecord& record) {
  write_file_atomically(folder.kubernetes(), json::serialize(json::object{{"kind", kind_name(record.object.kind)},
                                                                          {"namespace", record.object.name_space},
                                                                          {"name", record.object.name},
                                                                          {"attempt", record.attempt},
                                                                          {"uid", record.uid}}));
}

}  // namespace

KubernetesWorker::KubernetesWorker(KubernetesApi api, const KubernetesTask& task, JobFolder folder,
                                   const std::function<void(const std::string& object)>& on_create, Tell tell)
    : api_(std::move(api)), folder_(std::move(folder)), tell_(std::move(tell)) {
  if (auto recorded = record_of(folder_)) {
    record_ = *std::move(recorded);
    if (!record_.uid.empty()) return;
  } else {
    const KubernetesKind kind = task.ranks > 1 ? KubernetesKind::mpi_job : KubernetesKind::job;
    record_ = {{kind, from_files([&] { return api_.name_space(); }), object_name(task.job)},
               random_characters(kAttemptLetters),
               {}};
    remove_ends(folder_);
    write_record(folder_, record_);
  }
  record_.uid = metadata_text(begin(task), "uid");
  write_record(folder_, record_);
  on_create(fmt::format("{} {}", kind_name(record_.object.kind), record_.object.name));
}

// The object of this attempt. It may be there: a server may have ended between the creation and its record, and an
// answer may be lost.
json::object KubernetesWorker::begin(const KubernetesTask& task) {
  const auto is_own = [&](const json::object& found) { return label_of(found, kAttemptLabel) == record_.attempt; };
  if (auto found = api_.find(record_.object)) {
    if (is_own(*found)) return *std::move(found);
    remove_earlier(*found);
  }
  if (api_.options().image.empty()) {
    forget_recorded(folder_);
    throw KubernetesError(fmt::format("{} was not created, and this server trains otherwise", record_.object.name),
                          false);
  }
  const json::object body = kubernetes_body(task, record_.object, record_.attempt, api_.options(),
                                            from_files([&] { return pod_patch(api_.options()); }));
  try {
    return api_.create(record_.object, body);
  } catch (const KubernetesError& error) {
    if (error.status() != 409) throw;
    // Another request was faster, such as that of another server with the same state.
    if (auto found = api_.find(record_.object); found && is_own(*found)) return *std::move(found);
    throw KubernetesError(error.what(), false, error.status(), error.reason());
  }
}

// Two trainings must not write one folder at the same time.
void KubernetesWorker::remove_earlier(const json::object& earlier) const {
  const KubernetesObject& object = record_.object;
  if (label_of(earlier, kJobLabel) != label_value(folder_.path.filename().string())) {
    throw KubernetesError(fmt::format("{} {} of the namespace {} is there already, and qing has not made it; remove it",
                                      kind_name(object.kind), object.name, object.name_space),
                          true);
  }
  api_.remove(object, metadata_text(earlier, "uid"));
  const auto end = Clock::now() + kEarlierTime;
  while (api_.find(object)) {
    if (Clock::now() > end || api_.stopped()) {
      throw KubernetesError(fmt::format("{} {} of an earlier attempt has pods that are not gone yet",
                                        kind_name(object.kind), object.name),
                            false);
    }
    std::this_thread::sleep_for(kEarlierLook);
  }
}

std::optional<WorkerEnd> KubernetesWorker::poll() {
  if (end_ || Clock::now() < next_look_) return end_;
  try {
    look();
    next_look_ = Clock::now() + api_.options().look;
    outage_ = {};
  } catch (const KubernetesError& error) {
    if (outage_.count() == 0 && !api_.stopped()) {
      log_line("warning", "kubernetes_not_asked", {{"object", record_.object.name}, {"error", error.what()}});
    }
    outage_ = std::min(outage_.count() == 0 ? api_.options().look : 2 * outage_, kLongestOutage);
    // At most the longest wait, whatever the API server asks for: the job's owner may want to cancel it.
    const milliseconds asked = error.later().value_or(std::chrono::seconds(0));
    next_look_ = Clock::now() + std::clamp(asked, outage_, kLongestOutage);
  }
  return end_;
}

void KubernetesWorker::look() {
  const std::optional<json::object> found = api_.find(record_.object);
  if (!found || metadata_text(*found, "uid") != record_.uid) {
    end_ = end_without_object();
    return;
  }
  const KubernetesLook seen = look_at(*found, pods());
  if (seen.state == KubernetesLook::State::ended) {
    // A deleted object stays until its pods are gone.
    if (!seen.deleted) end_ = end_of(seen);
    return;
  }
  if (seen.state == KubernetesLook::State::running && !seen.reason.empty()) lost_by_ = seen.reason;
  if (stops_ && !seen.deleted) api_.remove(record_.object, record_.uid);
  if (!stops_) tell_wait(seen);
}

// Without the right to list pods the server does not know why a pod waits. It still sees every end.
json::array KubernetesWorker::pods() {
  if (blind_) return {};
  try {
    return api_.pods(record_.object.name_space, kAttemptLabel, record_.attempt);
  } catch (const KubernetesError& error) {
    if (error.status() != 403) throw;
    blind_ = true;
    log_line("warning", "kubernetes_not_asked", {{"object", record_.object.name}, {"error", error.what()}});
    return {};
  }
}

void KubernetesWorker::tell_wait(const KubernetesLook& seen) {
  const std::string reason = seen.state == KubernetesLook::State::waiting ? seen.reason : std::string();
  if (reason == told_wait_) return;
  if (reason.empty()) {
    if (seen.state != KubernetesLook::State::running) return;
    tell_("info", "The pod of the training runs");
  } else {
    log_line("warning", "kubernetes_pod_waits",
             {{"object", record_.object.name}, {"reason", reason}, {"message", printable(seen.message)}});
    tell_("warn", fmt::format("The pod of the training waits: {}. {}", reason, meaning_of(reason)));
  }
  told_wait_ = reason;
}

void KubernetesWorker::stop(bool) {
  stops_ = true;
  next_look_ = {};
}

// Removes no pod by force: it might go on running on its node.
void KubernetesWorker::kill() { stops_ = true; }

// Returns nothing as long as the worker's own end.json may still appear.
std::optional<WorkerEnd> KubernetesWorker::end_of(const KubernetesLook& seen) {
  if (const std::optional<int> code = recorded_end(folder_, record_.attempt)) return WorkerEnd{.code = *code};
  if (!ended_at_) ended_at_ = Clock::now();
  const bool has_word = seen.code && (*seen.code == kWorkerDone || *seen.code == kWorkerFailed ||
                                      *seen.code == kWorkerFaulted || *seen.code == kWorkerStopped);
  if (has_word && Clock::now() < *ended_at_ + api_.options().settle) return std::nullopt;
  const bool plain = seen.reason.empty() || seen.reason == "Error" || seen.reason == "BackoffLimitExceeded";
  return end_by(plain && !lost_by_.empty() ? lost_by_ : seen.reason);
}

// The end of a training whose object is gone. If this server deleted the object, it has asked for a checkpoint. If
// someone else did, the training must not go on as another object. An end that the training itself has recorded counts
// first, because Kubernetes removes objects that ended a day ago.
WorkerEnd KubernetesWorker::end_without_object() const {
  const std::optional<int> code = recorded_end(folder_, record_.attempt);
  if (code && (stops_ || *code != kWorkerStopped)) return {.code = *code};
  return stops_ ? WorkerEnd{.code = kWorkerStopped} : end_by("deleted");
}

WorkerEnd KubernetesWorker::end_by(std::string_view reason) const {
  return write_end(
      folder_,
      fmt::format("The training was {} {} of Kubernetes.", kind_name(record_.object.kind), record_.object.name),
      kPodReasons, reason);
}

void cancel_recorded(const JobFolder& folder, const KubernetesApi& api) {
  const std::optional<KubernetesRecord> record = record_of(folder);
  if (!record) return;
  std::string uid = record->uid;
  if (uid.empty()) {
    const auto found = api.find(record->object);
    if (!found || label_of(*found, kAttemptLabel) != record->attempt) return;
    uid = metadata_text(*found, "uid");
  }
  api.remove(record->object, uid);
}

}  // namespace qing::serve
