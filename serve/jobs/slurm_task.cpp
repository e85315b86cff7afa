#include "slurm_task.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include <qing/serve/jobs/requested_options.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

// The texts of slurm_texts() in a job's options.
struct Wishes {
  std::optional<size_t> ranks, minutes;
  std::string partition;
};

Wishes wishes_of(const TrainingJob& job) {
  const json::value options = json::parse(job.options);
  const json::value* found = options.as_object().if_contains(kSlurmOption);
  if (found == nullptr) return {};
  const auto texts = json::value_to<std::vector<std::string>>(*found);
  const auto number = [&](size_t i) {
    return texts.at(i).empty() ? std::nullopt : std::optional<size_t>(std::stoull(texts.at(i)));
  };
  return {.ranks = number(0), .minutes = number(2), .partition = texts.at(1)};
}

std::string count_text(const json::object& object, std::string_view name, size_t most) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return {};
  const bool whole = value->is_int64() && value->get_int64() >= 1;
  if (whole && (most == 0 || static_cast<size_t>(value->get_int64()) <= most))
    return std::to_string(value->get_int64());
  throw ValueError(fmt::format("slurm: {} must be a whole number of at least 1{}", name,
                               most == 0 ? "" : fmt::format(" and, on this server, at most {}", most)));
}

}  // namespace

std::vector<std::string> slurm_texts(const json::value& value, const SlurmOptions* allowed) {
  if (allowed == nullptr) {
    throw ValueError(
        "slurm: this server trains jobs on its own machine; leave it out, or ask the operator for "
        "--job-runner slurm");
  }
  const json::object* object = value.if_object();
  if (object == nullptr) throw ValueError(R"(slurm: must be an object such as {"ranks": 2, "minutes": 60})");
  for (const auto& entry : *object) {
    if (entry.key() != "ranks" && entry.key() != "partition" && entry.key() != "minutes") {
      throw ValueError("slurm: has a member other than ranks, partition and minutes");
    }
  }
  std::string partition;
  if (const json::value* given = object->if_contains("partition"); given != nullptr && !given->is_null()) {
    const auto& names = allowed->partitions;
    if (given->is_string()) partition = std::string(given->get_string());
    if (std::ranges::find(names, partition) == names.end()) {
      throw ValueError(names.empty()
                           ? std::string("slurm: this server leaves the choice of a partition to Slurm; leave "
                                         "partition out")
                           : fmt::format("slurm: partition must be one of {}", fmt::join(names, ", ")));
    }
  }
  return {count_text(*object, "ranks", std::max<size_t>(allowed->ranks, 1)), std::move(partition),
          count_text(*object, "minutes", allowed->minutes)};
}

SlurmTask slurm_task(const TrainingJob& job, const JobFolder& folder, const fs::path& program,
                     const WorkerLimits& limits, const SlurmOptions& options) {
  const Wishes wishes = wishes_of(job);
  std::error_code error;
  // Nodes do not have /proc/self/exe.
  const fs::path resolved = fs::canonical(program, error);
  if (error) throw IoError(fmt::format("{}: cannot be found: {}", program.string(), error.message()));
  const bool searches = json::parse(job.options).as_object().contains(kSearchOption);
  const std::string usual = options.partitions.empty() ? std::string() : options.partitions.front();
  return {.name = "qing-" + job.id,
          .comment = fmt::format("qing: model {}", job.model),
          .program = resolved,
          .folder = fs::absolute(folder.path),
          .log = fs::absolute(folder.log()),
          .ranks = searches ? 1 : wishes.ranks.value_or(std::max<size_t>(options.ranks, 1)),
          .partition = wishes.partition.empty() ? usual : wishes.partition,
          .minutes = wishes.minutes.value_or(options.minutes),
          .limits = limits};
}

}  // namespace qing::serve
