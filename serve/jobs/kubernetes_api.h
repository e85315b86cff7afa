// The requests that a server sends to the API server of a Kubernetes cluster.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include <qing/serve/http/url.h>
#include <qing/serve/jobs/cluster_error.h>
#include <qing/serve/jobs/job_options.h>

namespace qing::serve {

/// The API server could not be asked, or refused a request. what() has the request, the status and the API server's
/// message, at most 400 printable ASCII characters, and no token. A refusal is what a later request would meet, too:
/// not an outage, an exceeded quota, too many requests or a token that is not accepted now.
class KubernetesError : public ClusterError {
 public:
  KubernetesError(const std::string& message, bool refused, int status = 0, std::string reason = {},
                  std::optional<std::chrono::seconds> later = {})
      : ClusterError(message, refused), status_(status), reason_(std::move(reason)), later_(later) {}
  const char* cluster() const override { return "Kubernetes"; }
  const char* code() const override { return "kubernetes_refused"; }
  int status() const { return status_; }                                ///< of HTTP; 0: there was no answer
  const std::string& reason() const { return reason_; }                 ///< "AlreadyExists"
  std::optional<std::chrono::seconds> later() const { return later_; }  ///< its Retry-After

 private:
  int status_;
  std::string reason_;
  std::optional<std::chrono::seconds> later_;
};

/// A text of the cluster for the log and for errors: its first 300 characters, with '?' for what is not printable
/// ASCII.
std::string printable(std::string_view text);

/// The folder that Kubernetes mounts into a pod for its service account.
inline constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the API server is, and who asks: the options, completed by the service account of this pod.
struct KubernetesPlace {
  Url server;
  std::filesystem::path token, authority;
  std::string name_space;
};

/// Completes the options by KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT and by the files of `account`. Reads
/// the files, so that a fault is told at the start. ValueError for a missing or wrong option; IoError for a file.
KubernetesPlace kubernetes_place(const KubernetesOptions& options,
                                 const std::filesystem::path& account = kServiceAccount);

/// The patch of the options, an empty object without one. ValueError for one that has containers or volumes; DataError,
/// IoError for its file.
boost::json::object pod_patch(const KubernetesOptions& options);

/// Throws as kubernetes_place() and pod_patch(), and a ValueError for options without an image or a claim.
void check_kubernetes(const KubernetesOptions& options);

/// The kinds of objects that train a job.
enum class KubernetesKind {
  job,      ///< batch/v1 Job
  mpi_job,  ///< kubeflow.org/v2beta1 MPIJob
};
std::string_view kind_name(KubernetesKind kind);  ///< "Job"

/// An object of a namespace.
struct KubernetesObject {
  KubernetesKind kind = KubernetesKind::job;
  std::string name_space, name;
};

/// Every function throws a KubernetesError. Thread-safe.
class KubernetesApi {
 public:
  /// A request that runs when `stopped` says true ends, and its error is no refusal. Thread-safe.
  explicit KubernetesApi(KubernetesOptions options, std::function<bool()> stopped = {});

  /// Creates the object and returns it. Unknown fields are refused. Status 409 when there is one of this name.
  boost::json::object create(const KubernetesObject& object, const boost::json::object& body) const;
  std::optional<boost::json::object> find(const KubernetesObject& object) const;
  /// The pods of a namespace with a value of a label.
  boost::json::array pods(const std::string& name_space, std::string_view label, const std::string& value) const;
  /// Deletes the object with this uid: its pods get SIGTERM, and it stays until they are gone. Does nothing when there
  /// is no such object.
  void remove(const KubernetesObject& object, const std::string& uid) const;
  /// The namespace of new objects. ValueError, IoError as kubernetes_place().
  std::string name_space() const { return kubernetes_place(options_).name_space; }
  const KubernetesOptions& options() const { return options_; }
  bool stopped() const { return stopped_ && stopped_(); }

 private:
  boost::json::object ask(const char* method, const std::string& path, const std::string& body = {}) const;

  KubernetesOptions options_;
  std::function<bool()> stopped_;
};

}  // namespace qing::serve
