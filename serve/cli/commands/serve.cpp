// `qing serve`.
#include <fmt/format.h>
#include <signal.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/serve_options.h>
#include <qing/serve/common/log.h>
#include <qing/serve/common/output.h>
#include <qing/serve/maintenance/leftovers.h>
#include <qing/serve/server.h>
#include <qing/serve/state/state.h>

namespace qing::serve::cli {
namespace {

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
void run_serve(ServeArguments& arguments) {
  // The signals are blocked before any thread starts. All threads inherit that, and only wait_for_signal() receives
  // them.
  sigset_t stop_signals, old_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stop_signals, &old_signals);

  if (const std::string reason = choose_state(arguments); !reason.empty()) {
    log_line("warning", "no_state_kept", {{"error", reason}});
  }
  // Keys, certificates and the rest are checked before the models, which may take long to load.
  const std::shared_ptr<Registry> registry = registry_of(arguments);
  Server server(server_options(arguments), registry);
  // This comes first, so that a version whose promotion was not finished is not read.
  if (!arguments.state.empty()) remove_leftovers(State(arguments.state));
  registry->load();
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
  // From here on a second signal kills the process, in case the drain takes too long. A reload must not.
  sigaddset(&old_signals, SIGHUP);
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

// CLI11 passes empty variables over. An empty one keeps no state, as an empty --state does.
void read_empty_state(CLI::App& command) {
  CLI::Option* const option = command.get_option("--state");
  const char* const value = std::getenv(option->get_envname().c_str());
  if (option->count() > 0 || value == nullptr || *value != '\0') return;
  option->add_result("");
  option->run_callback();
}

}  // namespace

void add_serve(CommandLine& line) {
  const auto a = std::make_shared<ServeArguments>();
  const auto config = std::make_shared<std::filesystem::path>();
  CLI::App* command = line.app.add_subcommand("serve", "Serve models over HTTP");
  command->add_option("--config", *config, "Configuration file with these options (TOML)")
      ->configurable(false)
      ->type_name("FILE");
  add_serve_options(*command, *a);
  command->footer("The command line overrides environment variables, which override the configuration file.");
  name_variables(*command, "QING_SERVE_");
  command->callback([&line, command, a, config] {
    read_empty_state(*command);
    if (!config->empty()) read_config(*command, *config);
    line.run = [a] { run_serve(*a); };
  });
}

}  // namespace qing::serve::cli
