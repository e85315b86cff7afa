#include "slurm_worker.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/common/log.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kMember = "slurm_job";

// The number in a file of the folder; empty without the file.
std::string recorded_id(const fs::path& file) {
  return is_there(file) ? text_member_of(read_object_file(file), kMember) : std::string();
}

void remove_file(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  if (error) throw IoError(fmt::format("{}: cannot be removed: {}", file.string(), error.message()));
}

struct Reason {
  std::string_view word;
  int code;
  const char* name;
  const char* message;
};

// What the states of ended jobs mean that left no word of their own.
constexpr Reason kReasons[] = {
    {"CANCELLED", kWorkerFailed, "slurm_cancelled", "Someone cancelled it on the cluster. Make the job again."},
    {"TIMEOUT", kWorkerFaulted, "time_limit",
     "It took longer than its time on the cluster. Ask for more minutes, or use fewer epochs or a smaller model."},
    {"DEADLINE", kWorkerFaulted, "time_limit", "The cluster's deadline for it has passed."},
    {"OUT_OF_MEMORY", kWorkerFailed, "memory_limit",
     "It needs more memory than a job may use on the cluster. Use a smaller batch size, shorter texts (max_length) or "
     "a "
     "smaller model."},
    {"NODE_FAIL", kWorkerFaulted, "slurm_node_failed", "A node of the cluster failed."},
    {"BOOT_FAIL", kWorkerFaulted, "slurm_node_failed", "A node of the cluster did not start."},
    {"PREEMPTED", kWorkerFaulted, "slurm_preempted", "Another job of the cluster took its place."},
    {"", kWorkerFaulted, "slurm_lost", "Slurm does not know it any more, and it has left no result."},
};

}  // namespace

SlurmWorker::SlurmWorker(Slurm slurm, const SlurmTask& task,
                         const std::function<void(const std::string& id)>& on_submit)
    : slurm_(std::move(slurm)), folder_(task.folder), id_(recorded_id(folder_.cluster())) {
  if (!id_.empty()) return;
  // A server may have ended between the submission and its record.
  const std::optional<std::string> found = slurm_.find(task.name);
  if (!found) {
    remove_file(folder_.error());
    remove_file(folder_.end());
  }
  id_ = found ? *found : slurm_.submit(task);
  write_file_atomically(folder_.cluster(), json::serialize(json::object{{kMember, id_}}));
  if (!found) on_submit(id_);
}

std::optional<WorkerEnd> SlurmWorker::poll() {
  if (end_ || Clock::now() < next_look_) return end_;
  next_look_ = Clock::now() + slurm_.options().look;
  try {
    const SlurmLook look = slurm_.look_at(id_);
    if (look.state == SlurmState::waiting || look.state == SlurmState::running) {
      carry_out(look.state);
    } else {
      end_ = end_of(look);  // the record stays until the server has noted the end
    }
    told_ = false;
  } catch (const SlurmError& error) {
    if (!std::exchange(told_, true)) {
      log_line("warning", "slurm_not_asked", {{"slurm_job", id_}, {"error", error.what()}});
    }
  }
  return end_;
}

void SlurmWorker::stop(bool for_good) {
  wish_ = for_good ? Wish::cancel : Wish::stop;
  next_look_ = {};
}

void SlurmWorker::kill() {
  if (wish_ != Wish::cancel) next_look_ = {};
  wish_ = Wish::cancel;
}

void SlurmWorker::carry_out(SlurmState state) {
  constexpr std::chrono::seconds kBetween{30};
  if (wish_ == Wish::none) return;
  if (wish_ == Wish::stop && state == SlurmState::running) {
    slurm_.ask_to_stop(id_);
    wish_ = Wish::none;
  } else if (Clock::now() >= next_cancel_) {
    slurm_.cancel(id_);
    next_cancel_ = Clock::now() + kBetween;
  }
}

WorkerEnd SlurmWorker::end_of(const SlurmLook& look) const {
  if (is_there(folder_.end())) {
    const json::object end = read_object_file(folder_.end());
    const json::value* code = end.if_contains("code");
    const bool own = text_member_of(end, kMember) == id_ && code != nullptr && code->is_int64();
    // scancel asks for a checkpoint too. What someone cancels must not go on as another job of Slurm.
    const bool cancelled = own && look.word == "CANCELLED" && *code == static_cast<int>(kWorkerStopped);
    if (own && !cancelled) return {.code = static_cast<int>(code->get_int64())};
  }
  const auto found = std::find_if(std::begin(kReasons), std::end(kReasons),
                                  [&](const Reason& reason) { return reason.word == look.word; });
  const bool known = found != std::end(kReasons);
  const std::string message =
      fmt::format("The training was job {} of Slurm. {}", id_,
                  known ? found->message
                        : fmt::format("It ended in the state {} without a result. The operator finds more in the job's "
                                      "log.",
                                      look.word));
  write_file_atomically(folder_.error(),
                        json::serialize(json::object{
                            {"code", known ? found->name : "worker_ended"}, {"message", message}, {"param", ""}}));
  return {.code = known ? found->code : kWorkerFaulted};
}

void cancel_recorded(const JobFolder& folder, const Slurm& slurm) {
  if (const std::string id = recorded_id(folder.cluster()); !id.empty()) slurm.cancel(id);
}

void forget_recorded(const JobFolder& folder) { remove_file(folder.cluster()); }

void record_end(const JobFolder& folder, int code) {
  const char* id = std::getenv("SLURM_JOB_ID");
  write_file_atomically(folder.end(),
                        json::serialize(json::object{{kMember, id == nullptr ? "" : id}, {"code", code}}));
}

}  // namespace qing::serve
