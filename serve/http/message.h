// Requests and responses for the routes, independent of sockets and the parser.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
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

class BodyStream;

using HttpFields = std::vector<std::pair<std::string, std::string>>;

/// The body of a response that is too large for memory, in pieces. Used on the I/O thread, so it must not block.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual std::uint64_t size() const = 0;  ///< bytes of the whole body
  /// Calls `next` once, on any thread, with the next bytes; with none when they cannot be read, which ends the
  /// connection. Not called again before that.
  virtual void read(std::function<void(std::string piece)> next) = 0;
};

/// What a request asked for, for the log. A route fills it on the I/O thread, while its Routed::run runs.
struct RequestNote {
  std::string model;         ///< the name of a served model, never the client's text; empty: none
  std::int64_t version = 0;  ///< that answers; 0: none
  size_t texts = 0;
};

struct HttpResponse {
  int status = 200;
  std::string body;  ///< any bytes
  HttpFields headers;
  std::string_view content_type = kJsonType;     ///< of static storage; empty: the response has no such header
  std::shared_ptr<BodySource> source = nullptr;  ///< gives the body instead, unless null
  /// What follows `body` until BodyStream::end(), however long that takes; null: nothing.
  std::shared_ptr<BodyStream> stream = nullptr;
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
    other.caller = caller;
    other.request_id = request_id;
    other.note = note;
    other.cancelled = cancelled;
    return other;
  }

  std::string key;         ///< id of the client's API key; empty: anonymous
  std::string caller;      ///< X-Caller-Id: whom the client asks for; empty: not said. It never reaches the log
  std::string request_id;  ///< as the response's X-Request-Id says
  std::shared_ptr<RequestNote> note = std::make_shared<RequestNote>();  ///< never null
  /// The deadline of the response, shared with the connection. A route whose time limit differs from that for
  /// predictions sets it while its Routed::run runs, not later.
  std::shared_ptr<TimePoint> deadline;
  std::shared_ptr<const std::atomic<bool>> cancelled;  ///< set once the client has left; may be null

 private:
  std::function<void(HttpResponse)> send_;
};

/// Takes the body of a request in pieces, as they arrive. Used on the I/O thread, so it must not block. When the client
/// leaves or is refused, the sink is destroyed without finish(), and nothing of the body may stay.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// Called first, with the id of the client's API key; empty: anonymous.
  virtual void open(const std::string& key) = 0;
  /// Takes the next bytes and calls `next` once, on any thread: with nothing to get more, or with a refusal, after
  /// which nothing is called. The connection reads no further before that.
  virtual void write(std::string piece, std::function<void(std::optional<HttpResponse> refusal)> next) = 0;
  /// The body is complete. Calls `reply` once, now or later and on any thread.
  virtual void finish(Reply reply) = 0;
};

/// The result of routing: a refusal, or a route that receives the body.
struct Routed {
  using Reply = serve::Reply;
  using Run = std::function<void(std::string body, Reply reply)>;

  std::string_view name;  ///< the route's pattern, for the log; never the client's text
  std::optional<HttpResponse> refusal;
  std::shared_ptr<BodySink> sink;  ///< set if the route takes its body in pieces; `run` then calls finish()
  Run run;                         ///< set unless refused; calls its Reply once, now or later and on any thread
  std::string key;                 ///< id of the API key, also of one that was refused; empty: anonymous or unknown
  std::string caller;              ///< X-Caller-Id; see Reply
  std::string client;              ///< the client's address as the log shows it; empty: not shown
  std::string request_id;          ///< for the log and the response's X-Request-Id
  std::string traceparent;         ///< passed on unchanged if well-formed, else empty (W3C Trace Context)
  HttpFields fields;               ///< added to the response, whatever its status
  std::shared_ptr<const RequestNote> note;  ///< of the request whose `run` was called, else null
};

/// Routes a request by its head. Called on the I/O thread only; must not block.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual Routed route(const HttpHead& head) = 0;
  /// The limit of the body of a request to a route that takes it in pieces; nothing for any other. Called before
  /// route().
  virtual std::optional<std::uint64_t> streamed_body_limit([[maybe_unused]] const HttpHead& head) { return {}; }
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
