#include "tls.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "no reason given";
}

int to_int(size_t size) { return static_cast<int>(std::min<size_t>(size, INT_MAX)); }

}  // namespace

TlsContext::TlsContext(std::filesystem::path certificate, std::filesystem::path key)
    : certificate_(std::move(certificate)), key_(std::move(key)), context_(read()) {}

std::shared_ptr<SSL_CTX> TlsContext::read() const {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) throw IoError("TLS: OpenSSL gave no context: " + last_error());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_.c_str()) != 1) {
    throw IoError(fmt::format("{}: not a readable certificate chain in PEM ({})", certificate_.string(), last_error()));
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw IoError(fmt::format("{}: not the readable private key, in PEM, of the certificate {} ({})", key_.string(),
                              certificate_.string(), last_error()));
  }
  return context;
}

void TlsContext::reload() { context_ = read(); }

Stream::Stream(int socket, const std::shared_ptr<SSL_CTX>& context)
    : socket_(socket), tls_(SSL_new(context.get()), SSL_free) {
  if (!tls_ || SSL_set_fd(tls_.get(), socket) != 1) throw IoError("TLS: no memory for a connection: " + last_error());
  SSL_set_accept_state(tls_.get());
}

Stream::Result Stream::tls_result(int returned) const {
  if (returned > 0) return {Status::kDone, static_cast<size_t>(returned)};
  const int reason = SSL_get_error(tls_.get(), returned);
  ERR_clear_error();
  if (reason == SSL_ERROR_WANT_READ) return {Status::kWantRead};
  if (reason == SSL_ERROR_WANT_WRITE) return {Status::kWantWrite};
  // Either close_notify, or an end of the stream without it (SSL_OP_IGNORE_UNEXPECTED_EOF): a request tells its own
  // end. Before TLS 1.3 it ends both directions, and what was to be written is discarded (RFC 5246, 7.2.1; RFC
  // 8446, 6.1).
  const bool half = reason == SSL_ERROR_ZERO_RETURN && SSL_version(tls_.get()) >= TLS1_3_VERSION;
  return {half ? Status::kEnded : Status::kFailed};
}

Stream::Result Stream::handshake() {
  if (!tls_) return {Status::kDone};
  return tls_result(SSL_do_handshake(tls_.get()));
}

Stream::Result Stream::read(char* to, size_t size) {
  if (tls_) return tls_result(SSL_read(tls_.get(), to, to_int(size)));
  ssize_t got = 0;
  do { got = ::recv(socket_, to, size, MSG_DONTWAIT); } while (got < 0 && errno == EINTR);
  if (got > 0) return {Status::kDone, static_cast<size_t>(got)};
  if (got == 0) return {Status::kEnded};
  return {errno == EAGAIN || errno == EWOULDBLOCK ? Status::kWantRead : Status::kFailed};
}

Stream::Result Stream::write(const char* from, size_t size) {
  if (tls_) return tls_result(SSL_write(tls_.get(), from, to_int(size)));
  ssize_t sent = 0;
  do { sent = ::send(socket_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL); } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return {Status::kDone, static_cast<size_t>(sent)};
  const bool later = errno == EAGAIN || errno == EWOULDBLOCK;
  return {later ? Status::kWantWrite : Status::kFailed};
}

Stream::Look Stream::look() {
  char byte = 0;
  Result result{Status::kEnded};
  if (tls_) {
    result = tls_result(SSL_peek(tls_.get(), &byte, 1));
  } else {
    const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    const bool later = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (got != 0) result.status = got > 0 ? Status::kDone : later ? Status::kWantRead : Status::kFailed;
  }
  switch (result.status) {
    case Status::kDone: return Look::kData;
    case Status::kEnded: return Look::kEnded;
    case Status::kFailed: return Look::kFailed;
    default: return Look::kNothing;
  }
}

bool Stream::failed() const {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0;
}

void Stream::end_writing() {
  if (tls_ && SSL_is_init_finished(tls_.get()) == 1) SSL_shutdown(tls_.get());
  ERR_clear_error();
  ::shutdown(socket_, SHUT_WR);
}

}  // namespace qing::serve
