// Requests and responses as the routes see them: no socket, no parser.
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

/// What the headers of a request say; its body follows later, or never when the headers are refused. Valid only while
/// HttpHandler::route() runs: what is needed later is copied.
struct HttpHead {
  std::string_view method;  ///< as sent: "GET"
  std::string_view path;    ///< of the target, without its query
  std::string_view query;   ///< what follows the '?', as sent
  bool has_length = false;  ///< Content-Length or chunked
  /// What stands before `path` in the client's address, with a slash at its end, if a proxy has said so; else empty.
  std::string_view base = {};
  /// The value of a header, whose name is matched in any case; the first of several, empty when absent.
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

/// The way back to a client, and what is known of it. Called once, from any thread.
class Reply {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  template <class Send>
  requires std::is_invocable_v<Send, HttpResponse> Reply(
      Send send, std::shared_ptr<TimePoint> by = std::make_shared<TimePoint>(TimePoint::max()))  // NOLINT: implicit
      : deadline(std::move(by)), send_(std::move(send)) {}
  void operator()(HttpResponse response) const { send_(std::move(response)); }

  /// A reply to the same client by other means, which mostly end in this one.
  template <class Send> Reply through(Send send) const {
    Reply other(std::move(send), deadline);
    other.key = key;
    other.cancelled = cancelled;
    return other;
  }

  std::string key;  ///< id of the client's API key; empty: anonymous
  /// When the client is told that it waited too long. Shared with the connection: a route that allows less or more than
  /// the server does for predictions says so while its Routed::run is running, not later.
  std::shared_ptr<TimePoint> deadline;
  std::shared_ptr<const std::atomic<bool>> cancelled;  ///< set once the client has left; may be null

 private:
  std::function<void(HttpResponse)> send_;
};

/// What the headers led to: a refusal, or a route that takes the body.
struct Routed {
  using Reply = serve::Reply;
  using Run = std::function<void(std::string body, Reply reply)>;

  std::string_view name;  ///< the route's pattern, for the log; never the client's text
  std::optional<HttpResponse> refusal;
  Run run;                  ///< set unless refused; calls its Reply once, now or later and on any thread
  std::string key;          ///< id of the API key that let the request in; empty: anonymous
  std::string request_id;   ///< for the log and the response's X-Request-Id
  std::string traceparent;  ///< passed on as it came when it is well-formed, else empty (W3C Trace Context)
  HttpFields fields;        ///< of the response, whatever it is
};

/// Decides on a request once its headers are known. Called on the I/O thread only; must not block.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual Routed route(const HttpHead& head) = 0;
  /// Fields of a response that is made before route() can be asked; `origin` is the header of that name, if it is
  /// known.
  virtual HttpFields fields([[maybe_unused]] std::string_view origin) const { return {}; }
  /// Of every response, whoever made it; `routed` is empty when it came before there was a route. `time` is from the
  /// first byte of the request.
  virtual void answered(const Routed& routed, int status, std::chrono::steady_clock::duration time) = 0;
};

/// Whether two header names or the like are the same but for the case of ASCII letters.
bool same_name(std::string_view a, std::string_view b);
/// ASCII letters only.
std::string lower(std::string_view text);

/// "OK" for 200; "Status" for a status that the service does not answer with.
std::string_view reason_phrase(int status);

/// {"error": "...", "code": "..."}, as every error of the service reads. `message` must be UTF-8.
HttpResponse error_response(int status, std::string_view code, std::string_view message);
/// A 503 with its Retry-After.
HttpResponse unavailable(std::string_view code, std::string_view message, std::size_t retry_after_seconds);

}  // namespace qing::serve
