// TLS for the transport: a certificate that can be replaced while the server runs, and connections over plain sockets
// or TLS alike.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

struct ssl_ctx_st;
struct ssl_st;

namespace qing::serve {

/// A certificate chain and its key, in PEM. TLS 1.2 and above; the ciphers are OpenSSL's choice. Not thread-safe.
class TlsContext {
 public:
  /// IoError naming the file when it cannot be read, or when key and certificate do not belong together.
  TlsContext(std::filesystem::path certificate, std::filesystem::path key);

  /// Reads the files again. Open connections keep the old certificate. On an IoError nothing changes.
  void reload();
  std::shared_ptr<ssl_ctx_st> context() const { return context_; }

 private:
  std::shared_ptr<ssl_ctx_st> read() const;

  const std::filesystem::path certificate_, key_;
  std::shared_ptr<ssl_ctx_st> context_;
};

/// A non-blocking socket, as it is or below TLS. Does not own the socket.
class Stream {
 public:
  /// kEnded: the other side sends no more, and may still read. kFailed: the connection is gone.
  enum class Status { kDone, kWantRead, kWantWrite, kEnded, kFailed };
  struct Result {
    Status status;
    size_t bytes = 0;
  };

  explicit Stream(int socket) : socket_(socket) {}
  Stream(int socket, const std::shared_ptr<ssl_ctx_st>& context);

  Result handshake();
  Result read(char* to, size_t size);
  Result write(const char* from, size_t size);
  enum class Look { kData, kNothing, kEnded, kFailed };
  /// What read() would find, without taking it; kNothing when there is not enough to tell.
  Look look();
  /// Whether the connection has been reset. read() and look() do not tell once they have ended.
  bool failed() const;
  /// Closes the write side.
  void end_writing();

 private:
  Result tls_result(int returned) const;

  int socket_;
  std::shared_ptr<ssl_st> tls_;  // null: plain
};

}  // namespace qing::serve
