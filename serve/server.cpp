#include "server.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/api.h>
#include <qing/serve/batching/batcher.h>
#include <qing/serve/common/log.h>
#include <qing/serve/http/transport.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/keys/api_keys.h>
#include <qing/serve/keys/key_guard.h>
#include <qing/serve/state/state_check.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

std::unique_ptr<Gatekeeper> keys_for(const ServerOptions& options) {
  const bool loopback = HttpTransport::is_loopback(options.address);
  if (!options.keys_file.empty()) {
    if (KeyStore::is_database(options.keys_file)) return std::make_unique<KeyGuard>(options.keys_file);
    return std::make_unique<ApiKeys>(ApiKeys::from_file(options.keys_file));
  }
  if (!loopback && !options.allow_no_keys) {
    throw ValueError(
        fmt::format("server address {}: other machines reach it and no API keys are set; give a file of "
                    "keys, use 127.0.0.1, or serve without keys by --allow-no-keys",
                    options.address));
  }
  return nullptr;
}

std::shared_ptr<const State> state_of(const ServerOptions& options) {
  if (options.state.empty()) return nullptr;
  auto state = std::make_shared<const State>(options.state);
  check_state(*state);
  return state;
}

}  // namespace

struct Server::Impl {
  Impl(ServerOptions options_in, std::shared_ptr<Registry> registry)
      : options(std::move(options_in)),
        batcher(options.limits),
        state(state_of(options)),
        jobs(state ? std::make_unique<JobRunner>(state, registry, options.jobs) : nullptr),
        api(std::move(registry), batcher, keys_for(options), options.limits, options.site, state, jobs.get(),
            HttpTransport::is_loopback(options.address)),
        transport(api, api.statistics().connections, options.limits, options.request_log) {
    if (options.certificate.empty() != options.tls_key.empty()) {
      throw ValueError("Server: TLS needs both the certificate and its key; give the other one too");
    }
    if (!options.webhook.url.empty()) {
      if (!state) throw ValueError("Server: a webhook needs a state folder; give one");
      webhook = std::make_unique<Webhook>(options.webhook);
    }
    if (!options.certificate.empty()) transport.use_tls(options.certificate, options.tls_key);
  }

  // The transport drains while the batcher still works. The batcher stops before the transport, to which it replies, is
  // destroyed.
  void stop() {
    api.begin_drain();
    if (jobs) jobs->begin_stop();
    if (transport.port() != 0 && options.limits.drain_delay.count() > 0) {
      log_line("info", "draining", {{"seconds", std::chrono::duration<double>(options.limits.drain_delay).count()}});
      transport.close_after_answers();
      std::this_thread::sleep_for(options.limits.drain_delay);
    }
    transport.drain();
    api.stop_changes();
    if (jobs) jobs->stop();
    batcher.stop();
  }

  const ServerOptions options;
  Batcher batcher;
  const std::shared_ptr<const State> state;
  const std::unique_ptr<JobRunner> jobs;
  Api api;
  HttpTransport transport;
  std::unique_ptr<Webhook> webhook;  // until the start
  std::mutex mutex;
  std::condition_variable ended;
  bool started = false;
  bool stopped = false;
};

Server::Server(ServerOptions options, std::shared_ptr<Registry> registry) {
  if (!registry) throw ValueError("Server: null registry; make one with std::make_shared<Registry>(models folder)");
  impl_ = std::make_unique<Impl>(std::move(options), std::move(registry));
}

Server::~Server() { stop(); }

void Server::start() {
  if (impl_->started || impl_->stopped) {
    throw ValueError("Server::start: already started or stopped; make a new Server");
  }
  impl_->transport.listen(impl_->options.address, impl_->options.port);
  impl_->started = true;
  if (impl_->jobs) impl_->jobs->start();
  impl_->api.start_care(std::move(impl_->webhook));
  log_line("info", "listening", {{"address", impl_->options.address}, {"port", std::int64_t{port()}}});
}

std::uint16_t Server::port() const { return impl_->transport.port(); }

void Server::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopped) return;
  }
  impl_->stop();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
  }
  impl_->ended.notify_all();
  if (impl_->started) log_line("info", "stopped");
}

void Server::reload_certificate() { impl_->transport.reload_tls(); }

void Server::rescan() { impl_->api.rescan(); }

void Server::wait() {
  std::unique_lock lock(impl_->mutex);
  impl_->ended.wait(lock, [this] { return impl_->stopped; });
}

}  // namespace qing::serve
