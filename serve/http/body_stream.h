// A response whose body is written piece by piece while the client reads it.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace qing::serve {

/// The pieces between the one who writes a body and the connection that sends it. Thread-safe.
class BodyStream {
 public:
  /// So many unsent bytes beside the largest piece close the connection: its client does not read.
  static constexpr size_t kMostBytes = size_t{1} << 20;

  /// A stream without an end of its own, which a server that stops ends at once. With a `farewell` it is one that ends:
  /// a server that stops waits for it as for any answer, and when the time for that has passed, sends the farewell
  /// last.
  explicit BodyStream(std::string farewell = {}) : farewell_(std::move(farewell)) {}
  const std::string& farewell() const { return farewell_; }

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
  const std::string farewell_;
  mutable std::mutex mutex_;
  std::function<void()> wake_;
  Pieces pieces_;
  bool closed_ = false;
};

}  // namespace qing::serve
