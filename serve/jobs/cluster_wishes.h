// What a request may ask of the cluster that trains its job.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

#include <qing/serve/jobs/job_options.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// What an operator allows the jobs of a cluster.
struct ClusterLimits {
  std::vector<std::string> partitions;  ///< that a job may name
  size_t ranks, minutes;                ///< the most; 0 minutes: any number
};

/// The value of the option kSlurmOption or kKubernetesOption as texts: ranks, partition and minutes, empty where they
/// are left out. ValueError "OPTION: ..." for another value, for more than the operator allows, and when this server
/// has no such cluster.
std::vector<std::string> cluster_texts(std::string_view option, const boost::json::value& value,
                                       const JobOptions& server);

/// The texts of cluster_texts() in a job's options.
struct ClusterWishes {
  std::optional<size_t> ranks, minutes;
  std::string partition;
};
ClusterWishes wishes_of(const TrainingJob& job, std::string_view option);

/// How many ranks a job gets: those that it wishes, else all that are allowed. A search for settings takes one.
size_t ranks_of(const TrainingJob& job, const ClusterWishes& wishes, size_t most);

}  // namespace qing::serve
