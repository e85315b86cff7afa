// HTTP/1.1 on one I/O thread: connections, framing, limits, deadlines. Knows nothing of models.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <qing/serve/common/limits.h>
#include <qing/serve/common/statistics.h>
#include <qing/serve/http/message.h>

namespace qing::serve {

class HttpTransport {
 public:
  /// `handler` and `connections`, which it keeps, must outlive the transport.
  HttpTransport(HttpHandler& handler, ConnectionStatistics& connections, const Limits& limits, bool log_requests);
  /// Drains, as drain() does. No route may call its Reply after this.
  ~HttpTransport();

  /// Whether `address` is one ("localhost" included) that only this machine reaches. ValueError when it is none.
  static bool is_loopback(const std::string& address);

  /// From listen() on, TLS instead of plain HTTP. IoError when the files, in PEM, are no certificate and its key.
  void use_tls(const std::filesystem::path& certificate, const std::filesystem::path& key);
  /// Reads certificate and key again; when they are no good, what was there before stays, and the log says so. From any
  /// thread.
  void reload_tls();
  /// Binds, listens and starts the I/O thread. IoError when the address cannot be bound; another may be tried then.
  void listen(const std::string& address, std::uint16_t port);
  std::uint16_t port() const;
  /// Accepts no more, closes idle connections, answers the requests in flight, joins the I/O thread.
  void drain();

  struct Impl;  ///< known only to the source file

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace qing::serve
