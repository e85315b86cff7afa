// The sentiment service, to embed or to run: HTTP in front, compute workers behind, models from a Registry.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <qing/serve/common/limits.h>
#include <qing/serve/http/site_options.h>
#include <qing/serve/registry/registry.h>

namespace qing::serve {

struct ServerOptions {
  std::string address = "127.0.0.1";  ///< an IPv4 or IPv6 address, or "localhost"
  std::uint16_t port = 8080;          ///< 0: any free port, see Server::port()
  std::filesystem::path keys_file;    ///< a KeyStore, or one API key a line; empty: no keys, which only loopback may do
  bool allow_no_keys = false;         ///< serve without keys on an address other machines can reach
  std::filesystem::path certificate;  ///< PEM chain, with tls_key: TLS instead of plain HTTP
  std::filesystem::path tls_key;      ///< PEM private key
  SiteOptions site;                   ///< pages of other sites, a prefix of all paths
  bool log_requests = true;           ///< one JSON line a request on stderr, without text or keys
  Limits limits;
};

/// One service. start() and stop() belong to one thread; the rest may be called from any.
class Server {
 public:
  /// ValueError: the address is invalid, other machines can reach it but no keys are set, or a site option is invalid.
  /// IoError or DataError: the key file cannot be read.
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
  /// Drains: accepts no more connections, /health/ready is 503, requests in flight are answered, then returns.
  /// After Limits::drain_time what is left is cut off. Does nothing the second time. Not for signal handlers.
  void stop();
  /// Reads certificate and key again; connections go on. When the new ones are no good the old ones stay.
  void reload_certificate();
  /// Loads models and versions that have come into the registry's folder, on a thread of its own.
  void rescan();
  /// Returns once stop() has finished.
  void wait();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qing::serve
