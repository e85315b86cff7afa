#include "slurm_worker.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/common/log.h>
#include <qing/serve/jobs/cluster_record.h>
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

// What the states of ended jobs mean that left no word of their own.
constexpr EndReason kReasons[] = {
    {"CANCELLED", kWorkerFailed, "slurm_cancelled", "Someone cancelled it on the cluster. Make the job again."},
    {"TIMEOUT", kWorkerFaulted, "time_limit",
     "It took longer than its time on the cluster. Ask for more minutes, or use fewer epochs or a smaller model."},
    {"DEADLINE", kWorkerFaulted, "time_limit", "The cluster's deadline for it has passed."},
    {"OUT_OF_MEMORY", kWorkerFailed, "memory_limit",
     "It needs more memory than a job may use on the cluster. Use a smaller batch size, shorter texts (max_length) or "
     "a smaller model."},
    {"NODE_FAIL", kWorkerFaulted, "slurm_node_failed", "A node of the cluster failed."},
    {"BOOT_FAIL", kWorkerFaulted, "slurm_node_failed", "A node of the cluster did not start."},
    {"PREEMPTED", kWorkerFaulted, "slurm_preempted", "Another job of the cluster took its place."},
    {"", kWorkerFaulted, "slurm_lost", "Slurm does not know it any more, and it has left no result."},
};

}  // namespace

SlurmWorker::SlurmWorker(Slurm slurm, const SlurmTask& task,
                         const std::function<void(const std::string& id)>& on_submit)
    : slurm_(std::move(slurm)), folder_(task.folder), id_(recorded_id(folder_.slurm())) {
  if (!id_.empty()) return;
  // A server may have ended between the submission and its record.
  const std::optional<std::string> found = slurm_.find(task.name);
  if (!found) remove_ends(folder_);
  id_ = found ? *found : slurm_.submit(task);
  write_file_atomically(folder_.slurm(), json::serialize(json::object{{kMember, id_}}));
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
  if (const std::optional<int> code = recorded_end(folder_, id_)) {
    // scancel asks for a checkpoint too. What someone cancels must not go on as another job of Slurm.
    if (look.word != "CANCELLED" || *code != kWorkerStopped) return {.code = *code};
  }
  return write_end(folder_, fmt::format("The training was job {} of Slurm.", id_), kReasons, look.word);
}

void cancel_recorded(const JobFolder& folder, const Slurm& slurm) {
  if (const std::string id = recorded_id(folder.slurm()); !id.empty()) slurm.cancel(id);
}

}  // namespace qing::serve
