// The sentiment service, to embed or to run. It answers HTTP with the models of a Registry, on compute workers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <qing/serve/common/limits.h>
#include <qing/serve/http/request_log.h>
#include <qing/serve/http/site_options.h>
#include <qing/serve/jobs/job_options.h>
#include <qing/serve/maintenance/webhook.h>
#include <qing/serve/registry/registry.h>

namespace qing::serve {

struct ServerOptions {
  std::string address = "127.0.0.1";  ///< an IPv4 or IPv6 address, or "localhost"
  std::uint16_t port = 8080;          ///< 0: any free port, see Server::port()
  std::filesystem::path keys_file;    ///< a KeyStore, or one API key per line; empty: no keys, loopback only
  bool allow_no_keys = false;         ///< serve without keys on an address other machines can reach
  std::filesystem::path state;        ///< folder of files, jobs and the models they make; empty: the server keeps none.
                                      ///< The registry's second root is then State(state).models()
  JobOptions jobs;                    ///< training jobs, with a state
  WebhookOptions webhook;             ///< told of trials, drift and retraining; needs a state
  std::filesystem::path certificate;  ///< PEM chain, with tls_key: TLS instead of plain HTTP
  std::filesystem::path tls_key;      ///< PEM private key
  SiteOptions site;                   ///< CORS and the prefix of all paths
  RequestLogOptions request_log;      ///< one JSON line per request on stderr, without texts or keys
  Limits limits;
};

/// One service. Call start() and stop() from the same thread; all other functions are safe from any thread.
class Server {
 public:
  /// ValueError: the address is invalid, other machines can reach it but no keys are set, or a site option is invalid.
  /// Another webhook than an https or loopback one, or one without a state, is a ValueError too. IoError or DataError:
  /// the key file or the webhook's secret cannot be read.
  Server(ServerOptions options, std::shared_ptr<Registry> registry);
  /// Stops, as stop() does.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens and returns. The registry may still be loading: /health/ready answers 503 until it has a model.
  /// IoError when the address is taken; ValueError when started before.
  void start();
  /// The port listened on; 0 before start().
  std::uint16_t port() const;
  /// Drains. For Limits::drain_delay the server goes on as before, but answers /health/ready with 503 and ends every
  /// connection after its next answer, so that load balancers and clients go elsewhere. Then it refuses new
  /// connections, finishes the requests in flight and returns. Connections that remain after Limits::drain_time are
  /// closed. A second call does nothing. Not safe in a signal handler.
  void stop();
  /// Reads the certificate and its key again. Open connections continue. Invalid files leave the old pair in use.
  void reload_certificate();
  /// Loads models and versions that were added to the registry's folder, on a separate thread.
  void rescan();
  /// Returns once stop() has finished.
  void wait();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qing::serve
