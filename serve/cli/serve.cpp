// `qing serve`.
#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/output.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/server.h>

namespace qing::serve::cli {

void run_serve(const ServeArguments& arguments) {
  // Blocked before any thread starts, so that every thread inherits it and only sigwait() below takes the signals.
  sigset_t stop_signals, old_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stop_signals, &old_signals);

  auto registry = std::make_shared<Registry>(
      arguments.models.empty() ? shipped_models() : arguments.models,
      [precision = arguments.precision](const std::filesystem::path& folder) {
        return nn::TextClassifier::load(folder, precision);
      });
  registry->load();
  ServerOptions options;
  options.address = arguments.address;
  options.port = arguments.port;
  options.keys_file = arguments.keys;
  options.allow_no_keys = arguments.allow_no_keys;
  options.certificate = arguments.certificate;
  options.tls_key = arguments.tls_key;
  options.log_requests = arguments.log_requests;
  options.limits = arguments.limits;
  Server server(std::move(options), registry);
  server.start();

  const bool ipv6 = arguments.address.find(':') != std::string::npos;
  const std::string host = ipv6 ? "[" + arguments.address + "]" : arguments.address;
  const char* const scheme = arguments.certificate.empty() ? "http" : "https";
  print_line(fmt::format("listening on {}://{}:{}", scheme, host, server.port()));
  flush_output();  // a script waits for this line

  int signal = 0;
  do {
    if (const int error = sigwait(&stop_signals, &signal); error != 0) {
      throw IoError(fmt::format("qing serve: cannot wait for signals: {}", std::strerror(error)));
    }
    if (signal != SIGHUP) break;
    if (!arguments.certificate.empty()) server.reload_certificate();
    server.rescan();
  } while (true);
  // A second signal kills a drain that takes too long.
  pthread_sigmask(SIG_SETMASK, &old_signals, nullptr);
  server.stop();
  server.wait();
}

}  // namespace qing::serve::cli
