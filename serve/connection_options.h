// Where a client finds the service, and how patient it is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace qing::serve {

struct ClientOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  bool tls = false;  ///< https: the certificate must be valid for `host`
  /// PEM file of the authorities that may have signed the certificate; empty: the system's, and those of SSL_CERT_FILE.
  std::filesystem::path certificate_authority = {};
  std::string api_key = {};  ///< empty: none is sent
  /// Time limit of one request, including the connection but not the DNS lookup of `host`.
  std::chrono::milliseconds timeout{30'000};
  int max_retries = 3;     ///< after a 429, a 503 or a failed connection; never after a timeout
  size_t batch_size = 64;  ///< texts per request
};

}  // namespace qing::serve
