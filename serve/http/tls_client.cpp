#include "tls_client.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <boost/asio/ip/address.hpp>

#include <qing/tensor/errors.h>

namespace qing::serve {
namespace asio = boost::asio;

asio::ssl::context client_tls(const std::filesystem::path& authority) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  context.set_verify_mode(asio::ssl::verify_peer);
  boost::system::error_code error;
  authority.empty() ? context.set_default_verify_paths(error) : context.load_verify_file(authority.string(), error);
  if (!error) return context;
  throw IoError(fmt::format("{}: not a readable file of certificates in PEM ({})",
                            authority.empty() ? "the system's authorities" : authority.string(), error.message()));
}

void expect_host(SSL* tls, const std::string& host) {
  X509_VERIFY_PARAM* const expected = SSL_get0_param(tls);
  boost::system::error_code no_address;
  asio::ip::make_address(host, no_address);
  bool done = true;
  if (no_address) {
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    done = X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size()) == 1 &&
           SSL_set_tlsext_host_name(tls, host.c_str()) == 1;  // of names alone (RFC 6066, 3)
  } else {
    done = X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
  }
  if (!done) throw IoError(fmt::format("{}: OpenSSL does not take this host; give another name of it", host));
}

std::string certificate_fault(const SSL* tls) {
  const long result = SSL_get_verify_result(tls);
  return result == X509_V_OK ? std::string() : X509_verify_cert_error_string(result);
}

}  // namespace qing::serve
