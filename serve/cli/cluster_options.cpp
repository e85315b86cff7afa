#include <qing/serve/cli/cluster_options.h>

#include <map>
#include <string>

#include <qing/serve/cli/number_from.h>
#include <qing/serve/common/characters.h>

namespace qing::serve::cli {
namespace {

void add_slurm_options(CLI::App& command, SlurmOptions& slurm) {
  command
      .add_option(
          "--slurm-partition", slurm.partitions,
          "Slurm partition that a job may choose. Repeat it for several partitions. The first is that of jobs that "
          "choose none")
      ->allow_extra_args(false)
      ->check([](const std::string& name) {
        return has_only(name, is_alphanumeric, "-_.") && !name.empty()
                   ? std::string()
                   : "a partition has letters, digits, '-', '_', '.'";
      })
      ->type_name("NAME");
  command
      .add_option(
          "--slurm-minutes", slurm.minutes,
          "Time limit of a job of Slurm in minutes, unless the job asks for less. 0 means that of the partition")
      ->check(number_from(0, 1e6))
      ->capture_default_str();
  command
      .add_option("--slurm-ranks", slurm.ranks, "Number of ranks of a training by Slurm, unless the job asks for fewer")
      ->check(number_from(1, 1024))
      ->capture_default_str();
  const std::map<std::string, SlurmLauncher> launchers = {
      {"pmix", SlurmLauncher::pmix}, {"pmi2", SlurmLauncher::pmi2}, {"mpirun", SlurmLauncher::mpirun}};
  command
      .add_option_function<std::string>(
          "--slurm-launcher", [&slurm, launchers](const std::string& name) { slurm.launcher = launchers.at(name); },
          "Launcher of the ranks: srun with the interface pmix (Open MPI) or pmi2 (MPICH), or mpirun")
      ->check(CLI::IsMember({"pmix", "pmi2", "mpirun"}))
      ->type_name("NAME")
      ->default_str("pmix");
  command
      .add_option("--slurm-option", slurm.options,
                  "Further option of sbatch, such as --slurm-option=--account=NAME. Repeat it for several options")
      ->allow_extra_args(false)
      ->type_name("OPTION");
}

// The fault of a text that is no name of an object of Kubernetes (RFC 1123); empty without one.
std::string name_fault(const std::string& name) {
  const bool ends = !name.empty() && is_alphanumeric(name.front()) && is_alphanumeric(name.back());
  const auto allowed = [](char c) { return is_lower(c) || is_digit(c); };
  return ends && name.size() <= 253 && has_only(name, allowed, "-.")
             ? std::string()
             : "a name of Kubernetes has at most 253 lower-case letters, digits, '-' and '.', and a letter or digit at "
               "both ends";
}

// The fault of a text that is no path below the root of a volume.
std::string volume_path_fault(const std::string& path) {
  const bool climbs = ("/" + path + "/").find("/../") != std::string::npos;
  return !path.empty() && path.front() != '/' && path.back() != '/' && !climbs
             ? std::string()
             : "give a relative path without '..', such as qing/state";
}

void add_kubernetes_options(CLI::App& command, KubernetesOptions& kubernetes) {
  command
      .add_option(
          "--kubernetes-image", kubernetes.image,
          "Image of the trainings' pods, with qing as /usr/local/bin/qing. Required for --job-runner kubernetes")
      ->type_name("IMAGE");
  command
      .add_option("--kubernetes-claim", kubernetes.claim,
                  "PersistentVolumeClaim with the state folder. Required for --job-runner kubernetes")
      ->check(name_fault)
      ->type_name("NAME");
  command
      .add_option("--kubernetes-claim-path", kubernetes.claim_path,
                  "Path of the state folder in the volume of the claim. The default is the root of the volume")
      ->check(volume_path_fault)
      ->type_name("PATH");
  command
      .add_option("--kubernetes-namespace", kubernetes.name_space,
                  "Namespace of the trainings. The default is that of the server's pod")
      ->check(name_fault)
      ->type_name("NAME");
  command
      .add_option("--kubernetes-server", kubernetes.server,
                  "https URL of the API server. The default is that of the cluster in which the server's pod runs")
      ->type_name("URL");
  command
      .add_option("--kubernetes-token", kubernetes.token,
                  "File with the token for the API server. It is read for each request. The default is that of the "
                  "pod's service account")
      ->type_name("FILE");
  command
      .add_option("--kubernetes-authority", kubernetes.authority,
                  "File of the authorities (PEM) that sign the API server's certificate. The default is that of the "
                  "pod's service account")
      ->type_name("FILE");
  command
      .add_option("--kubernetes-service-account", kubernetes.service_account,
                  "Service account of the trainings' pods, which get no token of it. The default is the namespace's")
      ->check(name_fault)
      ->type_name("NAME");
  command
      .add_option("--kubernetes-pod", kubernetes.pod,
                  "File with a JSON Merge Patch of the template of the trainings' pods, such as tolerations or a node "
                  "selector")
      ->type_name("FILE");
  command
      .add_option("--kubernetes-minutes", kubernetes.minutes,
                  "Time limit of a training's pod in minutes, unless the job asks for less. 0 means no limit")
      ->check(number_from(0, 1e6))
      ->capture_default_str();
  command
      .add_option(
          "--kubernetes-ranks", kubernetes.ranks,
          "Number of ranks of a training, unless the job asks for fewer. Several ranks are an MPIJob of Kubeflow")
      ->check(number_from(1, 1024))
      ->capture_default_str();
}

}  // namespace

void ClusterArguments::apply(JobOptions& jobs) const {
  if (runner == "slurm") jobs.slurm = slurm;
  if (runner == "kubernetes") jobs.kubernetes = kubernetes;
}

void add_cluster_options(CLI::App& command, ClusterArguments& a) {
  command
      .add_option("--job-runner", a.runner,
                  "Runner of the trainings: local, processes of this machine; slurm, jobs of a Slurm cluster, whose "
                  "nodes have the program and the state folder at the same paths; or kubernetes, Jobs of a Kubernetes "
                  "cluster, which share the volume of the state folder")
      ->check(CLI::IsMember({"local", "slurm", "kubernetes"}))
      ->type_name("RUNNER")
      ->capture_default_str();
  add_slurm_options(command, a.slurm);
  add_kubernetes_options(command, a.kubernetes);
}

}  // namespace qing::serve::cli
