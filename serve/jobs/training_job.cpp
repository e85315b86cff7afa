#include "training_job.h"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/data/blanks.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/runs/run_record.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace {

constexpr std::array<std::pair<JobStatus, std::string_view>, 7> kStatusNames = {{
    {JobStatus::kValidating, "validating_files"},
    {JobStatus::kQueued, "queued"},
    {JobStatus::kRunning, "running"},
    {JobStatus::kPaused, "paused"},
    {JobStatus::kSucceeded, "succeeded"},
    {JobStatus::kFailed, "failed"},
    {JobStatus::kCancelled, "cancelled"},
}};

// The first bytes of a text, with a dash for each that a model's name may not have.
std::string in_name(std::string_view text, size_t most) {
  std::string name(text.substr(0, most));
  std::ranges::replace_if(
      name, [](char c) { return !is_alphanumeric(c) && c != '.' && c != '_'; }, '-');
  return name;
}

}  // namespace

std::string_view status_name(JobStatus status) {
  return std::ranges::find(kStatusNames, status, &std::pair<JobStatus, std::string_view>::first)->second;
}

JobStatus status_of(std::string_view name) {
  const auto found = std::ranges::find(kStatusNames, name, &std::pair<JobStatus, std::string_view>::second);
  if (found == kStatusNames.end()) {
    throw DataError(fmt::format("jobs: '{}' is no status; the state is that of another qing", name));
  }
  return found->first;
}

bool is_final(JobStatus status) {
  return status == JobStatus::kSucceeded || status == JobStatus::kFailed || status == JobStatus::kCancelled;
}

bool JobFolder::on_cluster() const { return is_there(slurm()) || is_there(kubernetes()); }

bool JobFolder::has_log() const {
  std::error_code none;
  const std::uintmax_t bytes = std::filesystem::file_size(log(), none);
  return !none && bytes > 0;
}

bool JobFolder::has_model() const {
  const std::filesystem::path record = model() / "run/run.json";
  try {
    return is_there(record) && cli::read_record(record).state == "finished";
  } catch (const DataError&) { return false; } catch (const IoError&) {
    return true;  // it may be the record of a finished training, whose model must not be removed
  }
}

std::string model_name(std::string_view base, std::string_view suffix, std::string_view id) {
  constexpr size_t kPart = 8, kSuffix = 64, kBase = 128 - kPart - kSuffix - 5;
  const std::string part = nn::lowered(id.substr(id.size() - std::min(id.size(), kPart)));
  return fmt::format("ft-{}{}{}-{}", in_name(base, kBase), suffix.empty() ? "" : "-", in_name(suffix, kSuffix), part);
}

}  // namespace qing::serve
