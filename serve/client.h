// A client of the service for C++ programs: blocking, with retries and time-outs. Speaks the native protocol.
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
  /// Of one request, connecting included; what the system takes to look `host` up, when it is a name, comes on top.
  std::chrono::milliseconds timeout{30'000};
  int max_retries = 3;          ///< after a 429, a 503 or a failed connection, but no time-out
  std::size_t batch_size = 64;  ///< texts of one request
};

struct Emotion {
  std::string label;
  float score = 0;
  std::map<std::string, float> scores;  ///< of every label
  bool truncated = false;               ///< the text was longer than the model reads
  bool blank = false;                   ///< the text gave no token: the scores are those of an empty text
};

/// The service refused: its status, its code such as "unknown_model", and its message as what().
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

/// Holds no connection between calls, and may be used from many threads.
class Client {
 public:
  /// ValueError on options that cannot work: an API key with a line break, a batch of none.
  explicit Client(ClientOptions options = {});

  /// The emotion of each text, in order; long lists go out in batches. Waits as Retry-After asks for, in seconds or by
  /// a date, before it tries again, and does not try again when that is above a minute. ServiceError when the service
  /// refuses, IoError when it cannot be reached or answers something else, or not in time.
  std::vector<Emotion> predict(const std::string& model, std::span<const std::string> texts) const;

 private:
  ClientOptions options_;
};

}  // namespace qing::serve
