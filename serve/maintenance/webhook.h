// Tells another program what happens to the models.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <qing/serve/http/url.h>

namespace qing::serve {

struct WebhookOptions {
  std::string url;                    ///< https, or http on loopback; empty: nothing is sent
  std::filesystem::path secret_file;  ///< "whsec_" and the secret in Base64; only its owner can read it
};

/// Sends messages as Standard Webhooks 1.0.0 says (https://www.standardwebhooks.com): a POST of JSON with the headers
/// webhook-id, webhook-timestamp and webhook-signature, which is "v1," and the Base64 of
/// HMAC-SHA256(secret, id.timestamp.body). A message that is not answered with 2xx is sent again after 5 s, then after
/// twice the time before, 8 times at most; then it is logged as lost. What is not sent when the process ends is lost.
/// Redirects are not followed. Thread-safe.
class Webhook {
 public:
  /// ValueError for another URL. IoError when the secret cannot be read or others can read it; DataError when it is no
  /// secret of 24 to 64 bytes.
  explicit Webhook(const WebhookOptions& options);
  /// Does not wait for messages that are waiting to be sent again.
  ~Webhook();
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  /// `data` is a JSON object without texts and secrets. The oldest message is dropped when 1000 wait.
  void send(std::string_view type, std::string_view data);

  /// The value of webhook-signature.
  static std::string signature(std::string_view secret, std::string_view id, std::int64_t timestamp,
                               std::string_view body);

 private:
  struct Message {
    std::string id, body;
    int attempts = 0;
    std::chrono::steady_clock::time_point due;
  };
  void work();
  bool deliver(const Message& message) const;

  const Url url_;
  const std::string secret_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Message> messages_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace qing::serve
