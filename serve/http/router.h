// Routing by a table of routes: method, pattern, scope, handler and description.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/serve/http/message.h>

namespace qing::serve {

/// A response as an exception. Handlers throw it and the router sends it.
class Refusal : public std::exception {
 public:
  explicit Refusal(HttpResponse response, std::string key = {})
      : response_(std::move(response)), key_(std::move(key)) {}
  const HttpResponse& response() const { return response_; }
  /// The id of the key that was refused, for the log; empty: none, or one that is not known.
  const std::string& key() const { return key_; }
  const char* what() const noexcept override { return response_.body.c_str(); }

 private:
  HttpResponse response_;
  std::string key_;
};

/// The permission that a route requires of a key.
enum class Scope { kOpen, kPredict, kMetrics, kAdmin };  // kOpen requires no key

/// Refusal: 411 for a body without a length, 415 for a compressed body.
void require_plain_body(const HttpHead& head);
/// The same, and 415 for a body that is not application/json in UTF-8: what BodyKind::kJson does.
void require_json_body(const HttpHead& head);

/// The body of a route. kJson: application/json, else 411 or 415; kAny: as its protocol defines, possibly empty.
enum class BodyKind { kNone, kJson, kAny };

/// A request for a route. Valid only as long as its head.
struct Call {
  const HttpHead& head;
  std::span<const std::pair<std::string_view, std::string_view>> parameters;  ///< of the pattern, in its order
  const std::string& key;  ///< id of the client's API key; empty: anonymous

  /// The percent-decoded value of {name}; empty when the pattern has no such parameter.
  std::string_view parameter(std::string_view name) const;
};

/// The description of a route in /openapi.json. Schemas are JSON.
struct Operation {
  std::string_view tag;  ///< the protocol
  std::string_view summary;
  std::string_view request;   ///< schema of the body; empty: none
  std::string_view response;  ///< schema of a 200; empty: not JSON
  std::string_view response_type = kJsonType;
  bool optional_request = false;  ///< the body may be empty
  std::string_view request_type = kJsonType;
  std::string_view query = {};  ///< parameters of the query: objects of OpenAPI, JSON, with commas between
};

/// The form of the errors of a protocol, where it is not that of error_response().
struct ErrorForm {
  std::string_view name;    ///< in /openapi.json
  std::string_view schema;  ///< of the body, JSON
  /// Puts an error of the service into this form. Called with responses of status 400 and above.
  HttpResponse (*apply)(HttpResponse);
};

struct Route {
  std::string_view method;  ///< GET also handles HEAD
  /// "/v1/models/{name}:predict": a parameter is 1 or more characters other than '/'. A segment with a parameter is
  /// percent-decoded (RFC 3986, 2.1) before it is compared. Other segments are not, so that an encoded path cannot
  /// bypass a proxy rule for "/v1/admin".
  std::string_view pattern;
  Scope scope = Scope::kPredict;
  BodyKind body = BodyKind::kNone;
  Operation operation;
  /// Called with the headers; the result takes the body. Both may throw Refusal.
  std::function<Routed::Run(const Call&)> open = {};
  const ErrorForm* error_form = nullptr;  ///< null: the service's own form
  bool of_project = false;                ///< changes or reads what a project keeps; see PageGuard
  /// Instead of `open`, for a body in pieces. The limit of the body is then file_bytes. May throw Refusal.
  std::function<std::shared_ptr<BodySink>(const Call&)> stream = {};
};

/// Immutable once made, so it is thread-safe. Handlers run on the caller's thread.
class Router {
 public:
  /// ValueError when two routes have the same method and pattern, or when a pattern is malformed.
  explicit Router(std::vector<Route> routes);

  /// Finds the route of a request; else 404 or 405. `authorize` is called with the route before its handler. It
  /// returns the id of the client's key, or throws Refusal.
  Routed route(const HttpHead& head, const std::function<std::string(const Route&)>& authorize) const;
  /// Whether the request is for a route that takes its body in pieces.
  bool streams(const HttpHead& head) const;
  /// The methods allowed at a path; nothing for an unknown path.
  struct Allowed {
    std::string methods;  ///< "GET, HEAD"
    Scope scope;
    std::string_view pattern;
  };
  std::optional<Allowed> allowed(std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

  static constexpr size_t kMostParameters = 2;

 private:
  struct Segment {
    std::string_view name;     // of the parameter; empty: a literal
    std::string_view literal;  // the whole segment, or what follows the parameter
  };
  struct Matched {
    std::pair<std::string_view, std::string_view> parameters[kMostParameters];
    std::string decoded[kMostParameters];  // storage of decoded segments
    size_t count = 0;
  };
  static std::vector<Segment> compile(std::string_view pattern);
  const Route* find(std::string_view method, std::string_view path, Matched& matched) const;
  std::string methods_of(const Route& chosen) const;
  static bool matches(const std::vector<Segment>& segments, std::string_view path, Matched& matched);

  std::vector<Route> routes_;
  std::vector<std::vector<Segment>> compiled_;  // one per route
};

/// Decodes escapes such as "%3A" (RFC 3986, 2.1). Invalid ones stay as they are.
std::string percent_decoded(std::string_view text);

/// The result of a handler whose response does not depend on the body.
Routed::Run answer(HttpResponse response);

}  // namespace qing::serve
