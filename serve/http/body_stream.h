// A response whose body is written piece by piece while the client reads it.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace qing::serve {

/// The pieces between the one who writes a body and the connection that sends it. Thread-safe.
class BodyStream {
 public:
  /// So many unsent bytes beside the largest piece close the connection: its client does not read.
  static constexpr size_t kMostBytes = size_t{1} << 20;

  /// Appends to the body. A piece after end(), or for a client that has left, is dropped.
  void write(std::string_view piece);
  /// Nothing follows.
  void end();
  /// Whether the client has left, or the server ends the response.
  bool closed() const;

  struct Pieces {
    std::string bytes;
    bool ended = false;
  };
  /// For the connection: `wake` is called after each write() and after end(), on their thread, until close().
  void attach(std::function<void()> wake);
  Pieces take();
  void close();

 private:
  mutable std::mutex mutex_;
  std::function<void()> wake_;
  Pieces pieces_;
  bool closed_ = false;
};

}  // namespace qing::serve
