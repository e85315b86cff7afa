// How a job of this server becomes an object of Kubernetes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include <qing/serve/jobs/job_options.h>
#include <qing/serve/jobs/kubernetes_api.h>
#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// The labels of every object and pod: the job, and the attempt that it is.
inline constexpr std::string_view kJobLabel = "qing/job", kAttemptLabel = "qing/attempt";

/// A training that Kubernetes is to run.
struct KubernetesTask {
  std::string job, model, project;
  size_t ranks = 1;    ///< above 1: an MPIJob
  size_t minutes = 0;  ///< 0: no limit
  WorkerLimits limits = {};
};

KubernetesTask kubernetes_task(const TrainingJob& job, const WorkerLimits& limits, const KubernetesOptions& options);

/// The name of a job's object, a DNS label (RFC 1123). Different ids give different names, also if they differ in upper
/// and lower case alone.
std::string object_name(std::string_view job);
/// A value of a label for the text. A text that is a valid value stays as it is. For any other it is the text's valid
/// characters and a hash of the whole text.
std::string label_value(std::string_view text);

/// The object of the attempt, which is a token of letters and digits. Its pods mount the job's folder alone, run as the
/// user of this process, and have no token of the API server. `patch` is merged into the template of every pod
/// (RFC 7386).
boost::json::object kubernetes_body(const KubernetesTask& task, const KubernetesObject& object,
                                    const std::string& attempt, const KubernetesOptions& options,
                                    const boost::json::object& patch);

}  // namespace qing::serve
