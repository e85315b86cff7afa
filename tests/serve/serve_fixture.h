// Shared parts of the service's tests: a classifier without a model, a raw HTTP client, a server on a free port.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <qing/nn/models/text_classifier.h>
#include <qing/serve/server.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

/// A text of n bytes has n tokens and the label n mod 3 with the score 0.5. It records the batches, and it can be
/// blocked to let a queue build up. "poison" cannot be encoded. "broken" makes its batch fail.
class FakeClassifier : public nn::TextClassifier {
 public:
  nn::EncodedText encode(std::string_view text) const override {
    if (text == "poison") throw DataError("poison");
    nn::EncodedText encoding;
    encoding.ids.assign(text.begin(), text.end());
    encoding.truncated = text.size() > 100;
    return encoding;
  }
  std::vector<nn::Prediction> predict_encoded(std::span<const nn::EncodedText> encodings) const override {
    std::unique_lock lock(mutex_);
    batches_.emplace_back();
    for (const nn::EncodedText& encoding : encodings) {
      batches_.back().emplace_back(encoding.ids.begin(), encoding.ids.end());
    }
    const std::vector<std::string> texts = batches_.back();
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    std::vector<nn::Prediction> predictions;
    for (const std::string& text : texts) {
      if (text == "broken") throw ValueError("broken");
      std::vector<float> scores(3, 0.25F);
      scores[text.size() % 3] = 0.5F;
      predictions.push_back(
          {static_cast<int32_t>(text.size() % 3), scores, static_cast<int32_t>(text.size()), text.size() > 100});
    }
    return predictions;
  }
  std::int32_t max_length() const override { return 128; }
  const std::vector<std::string>& labels() const override { return labels_; }

  void hold() const {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() const {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void wait_for_batches(size_t count) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() >= count; });
  }
  std::vector<std::vector<std::string>> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  std::vector<std::string> labels_{"negative", "neutral", "positive"};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::vector<std::vector<std::string>> batches_;
  mutable bool held_ = false;
};

struct RawResponse {
  int status = 0;
  std::string head;
  std::string body;
  bool has(std::string_view header) const { return head.find(header) != std::string::npos; }
};

/// A TCP connection that sends exactly the given bytes.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() {
    if (fd_ >= 0) ::close(fd_);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  /// Shuts down the sending direction. Answers can still be received.
  void end() { ::shutdown(fd_, SHUT_WR); }
  /// Resets the connection, like a process that dies with unread input.
  void reset() {
    const linger none{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    ::close(std::exchange(fd_, -1));
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server refused meanwhile; receive() returns its answer
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  /// Returns the next response, with status 0 if the connection ended without one.
  RawResponse receive(bool without_body = false) {
    size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return {};
    }
    RawResponse response;
    response.head = input_.substr(0, end + 2);
    response.status = std::stoi(response.head.substr(9, 3));
    size_t length = 0;
    const size_t field = response.head.find("Content-Length: ");
    if (field != std::string::npos && !without_body) length = std::stoul(response.head.substr(field + 16));
    while (input_.size() < end + 4 + length && more()) {}
    response.body = input_.substr(end + 4, length);
    input_.erase(0, end + 4 + length);
    return response;
  }
  /// The next byte; false at the end of the connection.
  bool take(char& byte) {
    if (input_.empty() && !more()) return false;
    byte = input_.front();
    input_.erase(0, 1);
    return true;
  }
  /// Returns whether the server closes the connection without sending more.
  bool closed() { return input_.empty() && !more(); }

 private:
  bool more() {
    char bytes[4096];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    input_.append(bytes, static_cast<size_t>(got));
    return true;
  }
  int fd_;
  bool connected_ = false;
  std::string input_;
};

inline std::string get(std::string_view path, std::string_view headers = "") {
  return fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n", path, headers);
}

inline std::string post(std::string_view body, std::string_view headers = "",
                        std::string_view path = "/v1/models/mood/predict") {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}",
                     path, body.size(), headers, body);
}

class ServeTest : public ::testing::Test {
 protected:
  ServeTest() {
    options.port = 0;
    options.request_log.lines = false;
    options.limits.compute_workers = 1;
    options.limits.linger_time = std::chrono::milliseconds(100);
  }
  void start() {
    registry->add("mood", 2, classifier);
    server = std::make_unique<Server>(options, registry);
    server->start();
  }
  void TearDown() override {
    classifier->release();
    if (server) server->stop();
  }
  RawResponse ask(const std::string& request) {
    RawClient client(server->port());
    client.send(request);
    return client.receive();
  }

  ServerOptions options;
  std::shared_ptr<FakeClassifier> classifier = std::make_shared<FakeClassifier>();
  std::shared_ptr<Registry> registry = std::make_shared<Registry>();
  std::unique_ptr<Server> server;
};

}  // namespace qing::serve
