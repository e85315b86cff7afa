// A blocking C++ client of the service, with retries and timeouts. It uses the native protocol.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <qing/tensor/errors.h>

namespace qing::serve {

struct ClientOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string api_key = {};  ///< empty: none is sent
  /// Time limit of one request, including the connection but not the DNS lookup of `host`.
  std::chrono::milliseconds timeout{30'000};
  int max_retries = 3;     ///< after a 429, a 503 or a failed connection; never after a timeout
  size_t batch_size = 64;  ///< texts per request
};

struct Emotion {
  std::string label;
  float score = 0;
  std::map<std::string, float> scores;  ///< by label, for every label
  bool truncated = false;               ///< the text exceeded the maximum length of the model
  bool blank = false;                   ///< the text has no tokens: the scores are those of an empty text
};

/// The service refused a request. Holds the HTTP status and the error code, such as "unknown_model"; what() is its
/// message.
class ServiceError : public Error {
 public:
  ServiceError(int status, std::string code, const std::string& message)
      : Error(message), status_(status), code_(std::move(code)) {}
  int status() const { return status_; }
  const std::string& code() const { return code_; }

 private:
  int status_;
  std::string code_;
};

/// Thread-safe. Keeps no connection open between calls.
class Client {
 public:
  /// ValueError for invalid options, such as an API key with a line break or a batch size of 0.
  explicit Client(ClientOptions options = {});

  /// The emotion of each text, in order. Long lists are sent in batches. Before a retry it waits for the time in
  /// Retry-After (seconds or a date); a wait above one minute is not retried. ServiceError when the service refuses;
  /// IoError when it cannot be reached, times out or sends an invalid response.
  std::vector<Emotion> predict(const std::string& model, std::span<const std::string> texts) const;

 private:
  ClientOptions options_;
};

}  // namespace qing::serve
