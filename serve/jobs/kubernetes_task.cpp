#include "kubernetes_task.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include <qing/nn/data/blanks.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/jobs/cluster_wishes.h>
#include <qing/serve/jobs/requested_options.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

constexpr const char* kProgram = "/usr/local/bin/qing";
constexpr const char* kMount = "/job";
// Files of an ssh server that does not run as root, as in the images of the MPI operator.
constexpr const char *kSshKeys = "/home/qing/.ssh", *kSshOptions = "/home/qing/.sshd_config";
// From SIGTERM to SIGKILL: the time for a checkpoint.
constexpr std::int64_t kGraceSeconds = 60;
// The ranks' ssh servers go on so long after SIGTERM, while mpirun ends the ranks at a checkpoint.
constexpr std::int64_t kRanksSeconds = 30, kMpirunSeconds = 20;
// The server deletes an object as soon as it has noted its end. This is for servers that never come back.
constexpr std::int64_t kSecondsKept = std::int64_t{24} * 60 * 60;
constexpr size_t kMostLabel = 63, kHash = 8;
// The most characters of an id in a name. Names of pods and hosts are longer, such as NAME-worker-1023, and have at
// most 63.
constexpr size_t kMostOfId = 32;

std::string cleaned(std::string_view text, size_t most, const char* others) {
  std::string kept(text.substr(0, most));
  std::ranges::replace_if(
      kept, [&](char c) { return !has_only(std::string_view(&c, 1), is_alphanumeric, others); }, '-');
  while (!kept.empty() && !is_alphanumeric(kept.back())) kept.pop_back();
  kept.erase(kept.begin(), std::ranges::find_if(kept, is_alphanumeric));
  return kept;
}

json::object labels_of(const KubernetesTask& task, const std::string& attempt) {
  return {{"app.kubernetes.io/name", "qing"},
          {"app.kubernetes.io/component", "training"},
          {"app.kubernetes.io/managed-by", "qing"},
          {kJobLabel, label_value(task.job)},
          {kAttemptLabel, attempt},
          {"qing/model", label_value(task.model)},
          {"qing/project", label_value(task.project)}};
}

// Requests are the limits, so that the scheduler counts what a training may use.
json::object resources_of(const WorkerLimits& limits) {
  json::object most;
  if (limits.cores > 0) most["cpu"] = std::to_string(limits.cores);
  if (limits.memory_mib > 0) most["memory"] = fmt::format("{}Mi", limits.memory_mib);
  if (most.empty()) return {};
  return {{"requests", most}, {"limits", most}};
}

json::array work_words(const KubernetesTask& task, const std::string& attempt) {
  return {kProgram,        "work",  "train",   "--detached",
          "--folder",      kMount,  "--log",   fmt::format("{}/log.txt", kMount),
          "--cluster-job", attempt, "--cores", std::to_string(task.limits.cores)};
}

// RFC 7386.
void merge(json::object& target, const json::object& patch) {
  for (const auto& [name, value] : patch) {
    if (value.is_null()) {
      target.erase(name);
    } else if (value.is_object()) {
      json::value& member = target[name];
      if (!member.is_object()) member = json::object();
      merge(member.get_object(), value.get_object());
    } else {
      target[name] = value;
    }
  }
}

class Body {
 public:
  Body(const KubernetesTask& task, const std::string& attempt, const KubernetesOptions& options,
       const json::object& patch)
      : task_(task), attempt_(attempt), options_(options), patch_(patch) {}

  json::object job() const {
    json::object container = container_of(work_words(task_, attempt_), resources_of(task_.limits));
    container["securityContext"].as_object()["readOnlyRootFilesystem"] = true;
    return {{"backoffLimit", 0},
            {"ttlSecondsAfterFinished", kSecondsKept},
            {"template", template_of(std::move(container), true)}};
  }

  json::object mpi_job() const {
    const std::string ranks = std::to_string(task_.ranks);
    json::array words = {"mpirun", "--bind-to", "none", "-n", ranks};
    for (const json::value& word : work_words(task_, attempt_)) words.push_back(word);
    json::object launcher = container_of(std::move(words), {{"requests", {{"cpu", "100m"}, {"memory", "128Mi"}}},
                                                            {"limits", {{"cpu", "1"}, {"memory", "512Mi"}}}});
    // Open MPI kills the ranks one second after it has passed SIGTERM on, which is too short for a checkpoint.
    launcher["env"] = json::array{variable("OMPI_MCA_odls_base_sigkill_timeout", kMpirunSeconds),
                                  variable("PRTE_MCA_odls_base_sigkill_timeout", kMpirunSeconds)};
    json::object worker = container_of({"/usr/sbin/sshd", "-De", "-f", kSshOptions}, resources_of(task_.limits));
    worker["lifecycle"] = {{"preStop", {{"sleep", {{"seconds", kRanksSeconds}}}}}};
    return {
        {"slotsPerWorker", 1},
        {"mpiImplementation", "OpenMPI"},
        {"sshAuthMountPath", kSshKeys},
        {"runPolicy", {{"cleanPodPolicy", "Running"}, {"backoffLimit", 0}, {"ttlSecondsAfterFinished", kSecondsKept}}},
        {"mpiReplicaSpecs",
         {{"Launcher",
           {{"replicas", 1}, {"restartPolicy", "Never"}, {"template", template_of(std::move(launcher), true)}}},
          {"Worker",
           {{"replicas", task_.ranks},
            {"restartPolicy", "Never"},
            {"template", template_of(std::move(worker), false)}}}}}};
  }

 private:
  static json::object variable(const char* name, std::int64_t value) {
    return {{"name", name}, {"value", std::to_string(value)}};
  }

  json::object container_of(json::array words, json::object resources) const {
    const std::string folder =
        fmt::format("{}{}jobs/{}", options_.claim_path, options_.claim_path.empty() ? "" : "/", task_.job);
    json::object container{
        {"name", "qing"},
        {"image", options_.image},
        {"command", std::move(words)},
        {"workingDir", kMount},
        {"securityContext", {{"allowPrivilegeEscalation", false}, {"capabilities", {{"drop", json::array{"ALL"}}}}}},
        {"volumeMounts", json::array{json::object{{"name", "state"}, {"mountPath", kMount}, {"subPath", folder}},
                                     json::object{{"name", "tmp"}, {"mountPath", "/tmp"}}}}};
    if (!resources.empty()) container["resources"] = std::move(resources);
    return container;
  }

  // Of a pod. `ends`: it ends with the training, whose time limit it has.
  json::object template_of(json::object container, bool ends) const {
    json::object spec{{"restartPolicy", "Never"},
                      {"automountServiceAccountToken", false},
                      {"enableServiceLinks", false},
                      {"terminationGracePeriodSeconds", kGraceSeconds},
                      // Only the server's user may read the job's folder.
                      {"securityContext",
                       {{"runAsUser", ::geteuid()},
                        {"runAsGroup", ::getegid()},
                        {"runAsNonRoot", ::geteuid() != 0},
                        {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
                      {"containers", json::array{std::move(container)}},
                      {"volumes", json::array{json::object{{"name", "state"},
                                                           {"persistentVolumeClaim", {{"claimName", options_.claim}}}},
                                              json::object{{"name", "tmp"}, {"emptyDir", json::object()}}}}};
    if (!options_.service_account.empty()) spec["serviceAccountName"] = options_.service_account;
    // The limit of a Job would count the wait for a node.
    if (ends && task_.minutes > 0) spec["activeDeadlineSeconds"] = static_cast<std::int64_t>(60 * task_.minutes);
    json::object made{{"metadata", {{"labels", labels_of(task_, attempt_)}}}, {"spec", std::move(spec)}};
    merge(made, patch_);
    // The server finds the pods by their labels.
    for (const auto& [name, value] : labels_of(task_, attempt_))
      made["metadata"].as_object()["labels"].as_object()[name] = value;
    return made;
  }

  const KubernetesTask& task_;
  const std::string& attempt_;
  const KubernetesOptions& options_;
  const json::object& patch_;
};

}  // namespace

KubernetesTask kubernetes_task(const TrainingJob& job, const WorkerLimits& limits, const KubernetesOptions& options) {
  const ClusterWishes wishes = wishes_of(job, kKubernetesOption);
  return {.job = job.id,
          .model = job.model,
          .project = job.project,
          .ranks = ranks_of(job, wishes, options.ranks),
          .minutes = wishes.minutes.value_or(options.minutes),
          .limits = limits};
}

std::string object_name(std::string_view job) {
  const std::string name = nn::lowered(cleaned(job, kMostOfId, "-"));
  return fmt::format("qing-{}{}{}", name, name.empty() ? "" : "-", sha256_of_bytes(job).substr(0, kHash));
}

std::string label_value(std::string_view text) {
  std::string value = cleaned(text, kMostLabel, "-_.");
  if (value == text) return value;
  value = cleaned(text, kMostLabel - kHash - 1, "-_.");
  return fmt::format("{}{}{}", value, value.empty() ? "" : "-", sha256_of_bytes(text).substr(0, kHash));
}

json::object kubernetes_body(const KubernetesTask& task, const KubernetesObject& object, const std::string& attempt,
                             const KubernetesOptions& options, const json::object& patch) {
  const Body body(task, attempt, options, patch);
  const bool mpi = object.kind == KubernetesKind::mpi_job;
  return {{"apiVersion", mpi ? "kubeflow.org/v2beta1" : "batch/v1"},
          {"kind", kind_name(object.kind)},
          {"metadata", {{"name", object.name}, {"namespace", object.name_space}, {"labels", labels_of(task, attempt)}}},
          {"spec", mpi ? body.mpi_job() : body.job()}};
}

}  // namespace qing::serve
