// TLS of a client: whose certificates it accepts.
#pragma once

#include <filesystem>
#include <string>

#include <boost/asio/ssl/context.hpp>

namespace qing::serve {

/// A context for TLS 1.2 and above that demands a valid certificate: by the authorities of a PEM file or, when
/// `authority` is empty, by the system's and those of SSL_CERT_FILE. IoError, which names the file, when it has none.
boost::asio::ssl::context client_tls(const std::filesystem::path& authority);
/// Demands a certificate for this host, a name or an address, and names it to the server. Call it before the handshake.
/// IoError when OpenSSL cannot do so.
void expect_host(SSL* tls, const std::string& host);
/// Why the server's certificate was not accepted; empty when it was, or when there was none.
std::string certificate_fault(const SSL* tls);

}  // namespace qing::serve
