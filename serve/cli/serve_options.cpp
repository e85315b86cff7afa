#include <qing/serve/cli/serve_options.h>

#include <map>
#include <memory>
#include <string>

#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/limit_options.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/state/state.h>
#include <qing/serve/state/state_check.h>
#include <qing/serve/tasks/task.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

void add_log_client(CLI::App& command, RequestLogOptions& log) {
  const std::map<std::string, ClientAddress> kinds = {
      {"off", ClientAddress::kOff}, {"truncated", ClientAddress::kTruncated}, {"full", ClientAddress::kFull}};
  command
      .add_option_function<std::string>(
          "--log-client", [&log, kinds](const std::string& kind) { log.client = kinds.at(kind); },
          "Client address in the request log: off, truncated (the first 24 bits of IPv4, 48 of IPv6) or full")
      ->check(CLI::IsMember({"off", "truncated", "full"}))
      ->type_name("KIND")
      ->default_str("off");
  command.add_flag("--trust-forwarded-for", log.trust_forwarded_for,
                   "Log the last address of X-Forwarded-For as the client's. The reverse proxy appends it");
}

}  // namespace

void add_serve_options(CLI::App& command, ServeArguments& a) {
  command
      .add_option(
          "--models", a.models,
          "Model repository: folder of NAME/VERSION/ folders, or the folder of one model or of one version of it. The "
          "default is the one shipped with qing")
      ->type_name("FOLDER");
  command
      .add_option("--state", a.state,
                  "State folder: uploaded files, training jobs and the models they make. It is made when it is needed. "
                  "An empty name keeps none")
      ->type_name("FOLDER")
      ->each([&a](const std::string&) { a.state_given = true; })
      ->default_str("$XDG_STATE_HOME/qing, else ~/.local/state/qing");
  const auto add_count = [&](const char* name, size_t& value, double most, const char* about) {
    command.add_option(name, value, about)->check(number_from(0, most))->capture_default_str();
  };
  add_count("--jobs", a.jobs.at_once, 64, "Number of training jobs that run at the same time. 0 accepts none");
  add_count("--unfinished-jobs", a.jobs.unfinished, 1e9,
            "Maximum number of jobs of a project that wait, train or are paused. 0 means no limit. HTTP error: 429");
  add_count("--job-cores", a.jobs.limits.cores, 1024, "Number of threads of a job. 0 means all CPUs but one");
  add_count("--job-memory", a.jobs.limits.memory_mib, 1 << 30,
            "Address space of a job in MiB. 0 means half of the memory");
  add_count("--job-minutes", a.jobs.minutes, 1e6, "Longest training of a job in minutes. 0 means no limit");
  add_cluster_options(command, a.clusters);
  add_precision(&command, a.precision);
  command.add_option("--address", a.address, "Listen address")->capture_default_str();
  command.add_option("--port", a.port, "Listen port. 0 means any free port")
      ->check(number_from(0, 65535))
      ->capture_default_str();
  command.add_option("--keys", a.keys, "API keys: a store made by qing keys, or a text file with one key per line")
      ->type_name("FILE");
  command.add_flag("--allow-no-keys", a.allow_no_keys, "Allow a listen address other than loopback without API keys");
  command.add_option("--webhook", a.webhook.url,
                     "URL that is told of trials, drift and retraining: https, or http on this machine");
  command
      .add_option("--webhook-secret", a.webhook.secret_file,
                  "File with the secret that signs the webhook's messages: whsec_ and Base64")
      ->type_name("FILE");
  command.add_option("--certificate", a.certificate, "TLS certificate chain (PEM). SIGHUP reloads it")
      ->type_name("FILE");
  command.add_option("--tls-key", a.tls_key, "TLS private key (PEM)")->type_name("FILE");
  add_list(&command, "--cors-origin", a.site.cors_origins,
           "Allowed CORS origin, such as https://app.example.org, or * for all. Repeat it for several origins");
  command.add_option("--base-path", a.site.base_path, "URL path prefix, such as /qing");
  command.add_flag("--trust-forwarded-prefix", a.site.trust_forwarded_prefix,
                   "Trust the X-Forwarded-Prefix header. The reverse proxy sets it to the path prefix that it strips");
  command.add_option("--log-requests", a.request_log.lines, "Request log: one line per request")->capture_default_str();
  add_log_client(command, a.request_log);
  add_limits(&command, a.limits);
}

std::string choose_state(ServeArguments& arguments) {
  if (arguments.state.empty()) return {};
  const State state(arguments.state);
  try {
    check_state(state);
  } catch (const IoError& error) {
    if (arguments.state_given || state.exists()) throw;
    arguments.state.clear();
    return error.what();
  }
  return {};
}

ServerOptions server_options(const ServeArguments& arguments) {
  ServerOptions options;
  options.address = arguments.address;
  options.port = arguments.port;
  options.state = arguments.state;
  options.jobs = arguments.jobs;
  arguments.clusters.apply(options.jobs);
  options.keys_file = arguments.keys;
  options.allow_no_keys = arguments.allow_no_keys;
  options.webhook = arguments.webhook;
  options.certificate = arguments.certificate;
  options.tls_key = arguments.tls_key;
  options.site = arguments.site;
  options.request_log = arguments.request_log;
  options.limits = arguments.limits;
  return options;
}

std::shared_ptr<Registry> registry_of(const ServeArguments& arguments) {
  const auto load = [precision = arguments.precision](const std::filesystem::path& folder) {
    return load_task_model(folder, precision);
  };
  return std::make_shared<Registry>(arguments.models.empty() ? shipped_models() : arguments.models, load,
                                    arguments.state.empty() ? arguments.state : State(arguments.state).models());
}

}  // namespace qing::serve::cli
