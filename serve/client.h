// A blocking C++ client of the service, with retries and timeouts. It uses the native protocol.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/connection_options.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

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

/// Thread-safe. Keeps no connection open between calls. With TLS a certificate that is not valid is an IoError.
class Client {
 public:
  /// ValueError for invalid options, such as an API key with a line break or a batch size of 0.
  explicit Client(ClientOptions options = {});

  /// The emotion of each text, in order. Long lists are sent in batches. Before a retry it waits for the time in
  /// Retry-After (seconds or a date); a wait above one minute is not retried. ServiceError when the service refuses;
  /// IoError when it cannot be reached, times out or sends an invalid response.
  std::vector<Emotion> predict(const std::string& model, std::span<const std::string> texts) const;

  /// Sends JSON, or nothing when `body` is empty, and returns the JSON of the answer. `path` may have a query. Errors
  /// as of predict(). A POST whose answer was lost is not sent again.
  std::string request(const std::string& method, const std::string& path, const std::string& body = {}) const;
  /// POST /v1/files in bounded memory. Returns the JSON of the stored file. Errors as of predict(); IoError also when
  /// the file cannot be read. A lost answer is not asked for again. The timeout bounds each piece.
  std::string upload_file(const std::filesystem::path& file, const std::string& purpose) const;
  /// GET of a body of any size, which is given to `sink` in pieces. The exceptions of `sink` pass through. Errors as of
  /// predict(), also in the midst of the body.
  void download(const std::string& path, const std::function<void(std::string_view)>& sink) const;

 private:
  ClientOptions options_;
};

}  // namespace qing::serve
