#include "cluster_record.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/jobs/json_object_file.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

constexpr const char* kClusterMember = "cluster_job";

void remove_file(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  if (error) throw IoError(fmt::format("{}: cannot be removed: {}", file.string(), error.message()));
}

}  // namespace

void record_end(const JobFolder& folder, int code, std::string id) {
  if (const char* number = std::getenv("SLURM_JOB_ID"); id.empty() && number != nullptr) id = number;
  write_file_atomically(folder.end(), json::serialize(json::object{{kClusterMember, id}, {"code", code}}));
}

std::optional<int> recorded_end(const JobFolder& folder, const std::string& id) {
  if (!is_there(folder.end())) return std::nullopt;
  const json::object end = read_object_file(folder.end());
  const json::value* code = end.if_contains("code");
  if (text_member_of(end, kClusterMember) != id || code == nullptr || !code->is_int64()) return std::nullopt;
  return static_cast<int>(code->get_int64());
}

void remove_ends(const JobFolder& folder) {
  remove_file(folder.error());
  remove_file(folder.end());
}

void forget_recorded(const JobFolder& folder) {
  remove_file(folder.slurm());
  remove_file(folder.kubernetes());
}

WorkerEnd write_end(const JobFolder& folder, const std::string& job, std::span<const EndReason> reasons,
                    std::string_view word) {
  const auto reason = std::ranges::find(reasons, word, &EndReason::word);
  if (reason != reasons.end()) {
    write_error(folder, reason->name, fmt::format("{} {}", job, reason->message));
    return {.code = reason->code};
  }
  write_error(folder, "worker_ended",
              fmt::format("{} It ended in the state {} without a result. The operator finds more in the job's log.",
                          job, word));
  return {.code = kWorkerFaulted};
}

void write_error(const JobFolder& folder, std::string_view code, std::string_view message) {
  write_file_atomically(folder.error(),
                        json::serialize(json::object{{"code", code}, {"message", message}, {"param", ""}}));
}

}  // namespace qing::serve
