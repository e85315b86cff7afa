#include "cluster_wishes.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include <qing/serve/jobs/requested_options.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

std::string count_text(std::string_view option, const json::object& object, std::string_view name, size_t most) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return {};
  const bool whole = value->is_int64() && value->get_int64() >= 1;
  if (whole && (most == 0 || static_cast<size_t>(value->get_int64()) <= most))
    return std::to_string(value->get_int64());
  throw ValueError(fmt::format("{}: {} must be a whole number of at least 1{}", option, name,
                               most == 0 ? "" : fmt::format(" and, on this server, at most {}", most)));
}

std::string partition_text(std::string_view option, const json::object& object, const std::vector<std::string>& names) {
  const json::value* given = object.if_contains("partition");
  if (given == nullptr || given->is_null()) return {};
  std::string partition = given->is_string() ? std::string(given->get_string()) : std::string();
  if (std::ranges::find(names, partition) != names.end()) return partition;
  throw ValueError(
      names.empty()
          ? fmt::format("{}: this server leaves the choice of a partition to Slurm; leave partition out", option)
          : fmt::format("{}: partition must be one of {}", option, fmt::join(names, ", ")));
}

// Nothing when the server has no cluster of this kind.
std::optional<ClusterLimits> limits_of(std::string_view option, const JobOptions& server) {
  if (option == kSlurmOption && server.slurm) {
    return ClusterLimits{server.slurm->partitions, server.slurm->ranks, server.slurm->minutes};
  }
  if (option == kKubernetesOption && server.kubernetes) {
    return ClusterLimits{{}, server.kubernetes->ranks, server.kubernetes->minutes};
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> cluster_texts(std::string_view option, const json::value& value, const JobOptions& server) {
  const std::optional<ClusterLimits> allowed = limits_of(option, server);
  if (!allowed) {
    throw ValueError(
        fmt::format("{0}: this server trains jobs {1}; leave it out, or ask the operator for --job-runner {0}", option,
                    server.on_cluster() ? "on another cluster" : "on its own machine"));
  }
  const json::object* object = value.if_object();
  if (object == nullptr)
    throw ValueError(fmt::format(R"({}: must be an object such as {{"ranks": 2, "minutes": 60}})", option));
  const bool partitioned = option == kSlurmOption;
  for (const auto& entry : *object) {
    if (entry.key() != "ranks" && entry.key() != "minutes" && !(partitioned && entry.key() == "partition")) {
      throw ValueError(
          fmt::format("{}: has a member other than ranks{} minutes", option, partitioned ? ", partition and" : " and"));
    }
  }
  return {count_text(option, *object, "ranks", std::max<size_t>(allowed->ranks, 1)),
          partition_text(option, *object, allowed->partitions),
          count_text(option, *object, "minutes", allowed->minutes)};
}

ClusterWishes wishes_of(const TrainingJob& job, std::string_view option) {
  const json::value options = json::parse(job.options);
  const json::value* found = options.as_object().if_contains(option);
  if (found == nullptr) return {};
  const auto texts = json::value_to<std::vector<std::string>>(*found);
  const auto number = [&](size_t i) {
    return texts.at(i).empty() ? std::nullopt : std::optional<size_t>(std::stoull(texts.at(i)));
  };
  return {.ranks = number(0), .minutes = number(2), .partition = texts.at(1)};
}

size_t ranks_of(const TrainingJob& job, const ClusterWishes& wishes, size_t most) {
  const bool searches = json::parse(job.options).as_object().contains(kSearchOption);
  return searches ? 1 : wishes.ranks.value_or(std::max<size_t>(most, 1));
}

}  // namespace qing::serve
