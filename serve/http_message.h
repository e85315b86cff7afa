// Requests and responses as the routes see them: no socket, no parser.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::serve {

/// What the headers of a request say; its body follows later, or never when the headers are refused.
struct HttpHead {
  std::string method;         ///< as sent: "GET"
  std::string path;           ///< of the target, without its query
  std::string authorization;  ///< empty when absent
  std::string api_key;        ///< X-API-Key, empty when absent
  std::string content_type;   ///< empty when absent
  bool has_length = false;    ///< Content-Length or chunked
};

/// A JSON response.
struct HttpResponse {
  int status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// What the headers led to: a refusal, or a route that takes the body.
struct Routed {
  using Reply = std::function<void(HttpResponse)>;

  std::string_view name;  ///< the route's pattern, for the log; never the client's text
  std::optional<HttpResponse> refusal;
  /// Set unless refused. Calls its Reply once, now or later and on any thread.
  std::function<void(std::string body, Reply reply)> run;
};

/// Decides on a request once its headers are known. Called on the I/O thread only; must not block.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual Routed route(const HttpHead& head) = 0;
};

/// {"error": "...", "code": "..."}, as every error of the service reads. `message` must be UTF-8.
HttpResponse error_response(int status, std::string_view code, std::string_view message);
/// A 503 with its Retry-After.
HttpResponse unavailable(std::string_view code, std::string_view message, int retry_after_seconds);
/// `text` as a JSON string, quotes included.
std::string json_quoted(std::string_view text);

}  // namespace qing::serve
