// `qing serve`.
#include <fmt/format.h>
#include <signal.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/common/output.h>
#include <qing/serve/server.h>

namespace qing::serve::cli {
namespace {

// Interval at which free memory between blocks in use is returned to the system, so that memory shrinks after a burst.
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

}  // namespace

void run_serve(const ServeArguments& arguments) {
  // Blocks the signals before any thread starts. Every thread inherits this, so only wait_for_signal() receives them.
  sigset_t stop_signals, old_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stop_signals, &old_signals);

  auto registry = std::make_shared<Registry>(arguments.models.empty() ? shipped_models() : arguments.models,
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
  // A second signal kills a drain that takes too long.
  pthread_sigmask(SIG_SETMASK, &old_signals, nullptr);
  server.stop();
  server.wait();
}

}  // namespace qing::serve::cli
