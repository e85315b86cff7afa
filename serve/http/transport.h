// HTTP/1.1 on one I/O thread: connections, framing, limits, deadlines. Knows nothing of models.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <qing/serve/common/limits.h>
#include <qing/serve/common/statistics.h>
#include <qing/serve/http/message.h>
#include <qing/serve/http/request_log.h>

namespace qing::serve {

/// Call use_tls(), listen(), drain() and the destructor from one thread. reload_tls() is thread-safe, and so is port()
/// once listen() has returned.
class HttpTransport {
 public:
  /// Keeps references to `handler` and `connections`, which must outlive the transport.
  HttpTransport(HttpHandler& handler, ConnectionStatistics& connections, const Limits& limits,
                const RequestLogOptions& log);
  /// Drains, as drain() does. No route may call its Reply after this.
  ~HttpTransport();  // NOLINT(bugprone-exception-escape): see its definition

  /// Whether `address` is a loopback address or "localhost". ValueError for an invalid address.
  static bool is_loopback(const std::string& address);

  /// Makes listen() use TLS. IoError when the PEM files are not a certificate and its key.
  void use_tls(const std::filesystem::path& certificate, const std::filesystem::path& key);
  /// Reads the certificate and key again. Invalid files are logged and leave the old pair in use. Thread-safe.
  void reload_tls();
  /// Binds, listens and starts the I/O thread. IoError when the address cannot be bound; it may then be called again.
  void listen(const std::string& address, std::uint16_t port);
  std::uint16_t port() const;
  /// Goes on accepting and answering, but every answer from now on is the last of its connection and says so. Idle
  /// connections stay open: closing one could lose a request that is on its way. Thread-safe.
  void close_after_answers();
  /// Stops accepting, closes idle connections, answers the requests in flight and joins the I/O thread.
  void drain();

  struct Impl;  ///< known only to the source file

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace qing::serve
