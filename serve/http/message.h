// Requests and responses for the routes, independent of sockets and the parser.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace qing::serve {

/// The head of a request. The body follows later, or never if the head is refused. Valid only while
/// HttpHandler::route() runs; copy what is needed later.
struct HttpHead {
  std::string_view method;  ///< as sent: "GET"
  std::string_view path;    ///< of the target, without its query
  std::string_view query;   ///< what follows the '?', as sent
  bool has_length = false;  ///< Content-Length or chunked
  /// The part before `path` in the client's URL, with a trailing slash, if a proxy sent it; else empty.
  std::string_view base = {};
  /// The value of the first header of that name (case-insensitive); empty when absent.
  std::function<std::string_view(std::string_view name)> header = [](std::string_view) { return std::string_view(); };
};

inline constexpr std::string_view kJsonType = "application/json";

using HttpFields = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 200;
  std::string body;  ///< any bytes
  HttpFields headers;
  std::string_view content_type = kJsonType;  ///< of static storage; empty: the response has no such header
};

/// Sends the response to a client and describes the client. Call it once, from any thread.
class Reply {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  template <class Send>
  requires std::is_invocable_v<Send, HttpResponse> Reply(
      Send send, std::shared_ptr<TimePoint> by = std::make_shared<TimePoint>(TimePoint::max()))  // NOLINT: implicit
      : deadline(std::move(by)), send_(std::move(send)) {}
  void operator()(HttpResponse response) const { send_(std::move(response)); }

  /// A reply to the same client through another function, which usually calls this one.
  template <class Send> Reply through(Send send) const {
    Reply other(std::move(send), deadline);
    other.key = key;
    other.cancelled = cancelled;
    return other;
  }

  std::string key;  ///< id of the client's API key; empty: anonymous
  /// The deadline of the response, shared with the connection. A route whose time limit differs from that for
  /// predictions sets it while its Routed::run runs, not later.
  std::shared_ptr<TimePoint> deadline;
  std::shared_ptr<const std::atomic<bool>> cancelled;  ///< set once the client has left; may be null

 private:
  std::function<void(HttpResponse)> send_;
};

/// The result of routing: a refusal, or a route that receives the body.
struct Routed {
  using Reply = serve::Reply;
  using Run = std::function<void(std::string body, Reply reply)>;

  std::string_view name;  ///< the route's pattern, for the log; never the client's text
  std::optional<HttpResponse> refusal;
  Run run;                  ///< set unless refused; calls its Reply once, now or later and on any thread
  std::string key;          ///< id of the API key that let the request in; empty: anonymous
  std::string request_id;   ///< for the log and the response's X-Request-Id
  std::string traceparent;  ///< passed on unchanged if well-formed, else empty (W3C Trace Context)
  HttpFields fields;        ///< added to the response, whatever its status
};

/// Routes a request by its head. Called on the I/O thread only; must not block.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual Routed route(const HttpHead& head) = 0;
  /// Header fields of a response made before route() is called; `origin` is the header of that name, if known.
  virtual HttpFields fields([[maybe_unused]] std::string_view origin) const { return {}; }
  /// Called for every response. `routed` is empty if the response preceded routing. `time` starts at the first byte of
  /// the request.
  virtual void answered(const Routed& routed, int status, std::chrono::steady_clock::duration time) = 0;
};

/// Whether two texts are equal, ignoring the case of ASCII letters.
bool same_name(std::string_view a, std::string_view b);
/// ASCII letters only.
std::string lower(std::string_view text);

/// "OK" for 200; "Status" for a status that the service never sends.
std::string_view reason_phrase(int status);

/// {"error": "...", "code": "..."}, the form of every error of the service. `message` must be UTF-8.
HttpResponse error_response(int status, std::string_view code, std::string_view message);
/// A 503 with a Retry-After header.
HttpResponse unavailable(std::string_view code, std::string_view message, size_t retry_after_seconds);

}  // namespace qing::serve
