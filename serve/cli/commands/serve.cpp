// `qing serve`.
#include <fmt/format.h>
#include <signal.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <qing/nn/models/sentence_embedding.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/limit_options.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/cli/state_option.h>
#include <qing/serve/common/output.h>
#include <qing/serve/maintenance/leftovers.h>
#include <qing/serve/server.h>
#include <qing/serve/state/state.h>

namespace qing::serve::cli {
namespace {

struct ServeArguments {
  std::filesystem::path models;  ///< empty: the shipped ones
  DType precision = DType::f32;
  std::string address = "127.0.0.1";
  uint16_t port = 8080;
  std::filesystem::path state = default_state();
  JobOptions jobs = {.worker = "/proc/self/exe", .limits = {}};
  std::filesystem::path keys;
  bool allow_no_keys = false;
  WebhookOptions webhook = {};
  std::filesystem::path certificate, tls_key;  ///< both or none
  SiteOptions site = {};
  bool log_requests = true;
  Limits limits = {};
};

// Interval at which freed memory is returned to the system, so that memory use shrinks after a burst.
constexpr timespec kTrimTime{.tv_sec = 10, .tv_nsec = 0};

int wait_for_signal(const sigset_t& signals) {
  for (;;) {
    const int signal = sigtimedwait(&signals, nullptr, &kTrimTime);
    if (signal > 0) return signal;
    if (errno != EAGAIN && errno != EINTR) {
      throw IoError(fmt::format("qing serve: cannot wait for signals: {}", std::strerror(errno)));
    }
#ifdef __GLIBC__
    malloc_trim(0);
#endif
  }
}

// Serves until SIGINT or SIGTERM, then drains. SIGHUP reads the certificate again and looks for new models.
void run_serve(const ServeArguments& arguments) {
  // The signals are blocked before any thread starts. All threads inherit that, and only wait_for_signal() receives
  // them.
  sigset_t stop_signals, old_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stop_signals, &old_signals);

  auto registry = std::make_shared<Registry>(
      arguments.models.empty() ? shipped_models() : arguments.models,
      [precision = arguments.precision](const std::filesystem::path& folder) {
        return nn::load_text_model(folder, precision);
      },
      arguments.state.empty() ? arguments.state : State(arguments.state).models());
  // This comes first, so that a version whose promotion was not finished is not read.
  if (!arguments.state.empty()) remove_leftovers(State(arguments.state));
  registry->load();
  ServerOptions options;
  options.address = arguments.address;
  options.port = arguments.port;
  options.state = arguments.state;
  options.jobs = arguments.jobs;
  options.keys_file = arguments.keys;
  options.allow_no_keys = arguments.allow_no_keys;
  options.webhook = arguments.webhook;
  options.certificate = arguments.certificate;
  options.tls_key = arguments.tls_key;
  options.site = arguments.site;
  options.log_requests = arguments.log_requests;
  options.limits = arguments.limits;
  Server server(std::move(options), registry);
  server.start();

  const bool ipv6 = arguments.address.find(':') != std::string::npos;
  const std::string host = ipv6 ? "[" + arguments.address + "]" : arguments.address;
  const char* const scheme = arguments.certificate.empty() ? "http" : "https";
  print_line(fmt::format("listening on {}://{}:{}", scheme, host, server.port()));
  flush_output();  // a script waits for this line

  while (wait_for_signal(stop_signals) == SIGHUP) {
    if (!arguments.certificate.empty()) server.reload_certificate();
    server.rescan();
  }
  // From here on a second signal kills the process, in case the drain takes too long.
  pthread_sigmask(SIG_SETMASK, &old_signals, nullptr);
  server.stop();
  server.wait();
}

// QING_SERVE_TLS_KEY for --tls-key.
void name_variables(CLI::App& command, const std::string& prefix) {
  for (CLI::Option* option : command.get_options()) {
    if (option == command.get_help_ptr()) continue;
    std::string name = prefix + option->get_single_name();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    option->envname(name);
  }
}

}  // namespace

void add_serve(CommandLine& line) {
  const auto a = std::make_shared<ServeArguments>();
  const auto config = std::make_shared<std::filesystem::path>();
  CLI::App* command = line.app.add_subcommand("serve", "Serve models over HTTP");
  command
      ->add_option("--models", a->models,
                   "Model repository: folder of NAME/VERSION/ folders. The default is the one shipped with qing")
      ->type_name("FOLDER");
  command->add_option("--config", *config, "Configuration file with these options (TOML)")
      ->configurable(false)
      ->type_name("FILE");
  command
      ->add_option(
          "--state", a->state,
          "State folder: uploaded files, training jobs and the models they make. It is made when it is needed. "
          "An empty name keeps none")
      ->type_name("FOLDER")
      ->default_str("$XDG_STATE_HOME/qing, else ~/.local/state/qing");
  const auto add_count = [&](const char* name, size_t& value, double most, const char* about) {
    command->add_option(name, value, about)->check(number_from(0, most))->capture_default_str();
  };
  add_count("--jobs", a->jobs.at_once, 64, "Number of training jobs that run at the same time. 0 accepts none");
  add_count("--unfinished-jobs", a->jobs.unfinished, 1e9,
            "Maximum number of jobs of a project that wait, train or are paused. 0 means no limit. HTTP error: 429");
  add_count("--job-cores", a->jobs.limits.cores, 1024, "Number of threads of a job. 0 means all CPUs but one");
  add_count("--job-memory", a->jobs.limits.memory_mib, 1 << 30,
            "Address space of a job in MiB. 0 means half of the memory");
  add_count("--job-minutes", a->jobs.minutes, 1e6, "Longest training of a job in minutes. 0 means no limit");
  add_precision(command, a->precision);
  command->add_option("--address", a->address, "Listen address")->capture_default_str();
  command->add_option("--port", a->port, "Listen port. 0 means any free port")->capture_default_str();
  command->add_option("--keys", a->keys, "API keys: a store made by qing keys, or a text file with one key per line")
      ->type_name("FILE");
  command->add_flag("--allow-no-keys", a->allow_no_keys, "Allow a listen address other than loopback without API keys");
  command->add_option("--webhook", a->webhook.url,
                      "URL that is told of trials, drift and retraining: https, or http on this machine");
  command
      ->add_option("--webhook-secret", a->webhook.secret_file,
                   "File with the secret that signs the webhook's messages: whsec_ and Base64")
      ->type_name("FILE");
  command->add_option("--certificate", a->certificate, "TLS certificate chain (PEM). SIGHUP reloads it")
      ->type_name("FILE");
  command->add_option("--tls-key", a->tls_key, "TLS private key (PEM)")->type_name("FILE");
  command
      ->add_option("--cors-origin", a->site.cors_origins,
                   "Allowed CORS origin, such as https://app.example.org, or * for all. Repeat it for several origins")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--base-path", a->site.base_path, "URL path prefix, such as /qing");
  command->add_flag("--trust-forwarded-prefix", a->site.trust_forwarded_prefix,
                    "Trust the X-Forwarded-Prefix header. The reverse proxy sets it to the path prefix that it strips");
  command->add_option("--log-requests", a->log_requests, "Request log: one line per request")->capture_default_str();
  add_limits(command, a->limits);
  command->footer("The command line overrides environment variables, which override the configuration file.");
  name_variables(*command, "QING_SERVE_");
  command->callback([&line, command, a, config] {
    if (!config->empty()) read_config(*command, *config);
    line.run = [a] { run_serve(*a); };
  });
}

}  // namespace qing::serve::cli
