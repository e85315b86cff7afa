// Which route a request is for: a table of rows that say method, pattern, scope, handler and description together.
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

/// A response as an exception: handlers throw it, the router answers with it.
class Refusal : public std::exception {
 public:
  explicit Refusal(HttpResponse response) : response_(std::move(response)) {}
  const HttpResponse& response() const { return response_; }
  const char* what() const noexcept override { return response_.body.c_str(); }

 private:
  HttpResponse response_;
};

/// What a key must be allowed to do.
enum class Scope { kOpen, kPredict, kMetrics, kAdmin };  // kOpen asks for no key

/// Refusal: 411 for a body whose length is not told, 415 for a compressed one.
void require_plain_body(const HttpHead& head);

/// What a route takes. kJson: application/json, else 411 or 415; kAny: whatever its protocol says, also nothing.
enum class BodyKind { kNone, kJson, kAny };

/// A request for a route; as short-lived as its head.
struct Call {
  const HttpHead& head;
  std::span<const std::pair<std::string_view, std::string_view>> parameters;  ///< of the pattern, in its order

  /// The text in place of {name}, percent-decoded; empty when the pattern has no such parameter.
  std::string_view parameter(std::string_view name) const;
};

/// What /openapi.json says of a route. Schemas are JSON.
struct Operation {
  std::string_view tag;  ///< the protocol
  std::string_view summary;
  std::string_view request;   ///< schema of the body; empty: none
  std::string_view response;  ///< schema of a 200; empty: not JSON
  std::string_view response_type = kJsonType;
  bool optional_request = false;  ///< the body may be empty
};

struct Route {
  std::string_view method;  ///< GET answers HEAD too
  /// "/v1/models/{name}:predict": a parameter is 1 or more characters other than '/'. A segment with a parameter is
  /// percent-decoded (RFC 3986, 2.1) before it is compared, one without is not, so that a rule of a proxy for
  /// "/v1/admin" cannot be passed by writing it otherwise.
  std::string_view pattern;
  Scope scope = Scope::kPredict;
  BodyKind body = BodyKind::kNone;
  Operation operation;
  /// Called with the headers; the result takes the body. Both may throw Refusal.
  std::function<Routed::Run(const Call&)> open;
};

class Router {
 public:
  /// ValueError when two rows are for the same method and pattern, or a pattern is malformed.
  explicit Router(std::vector<Route> routes);

  /// The route of a request, or 404 or 405. `authorize` is asked with
  /// the route's scope before anything else of the route and throws Refusal.
  Routed route(const HttpHead& head, const std::function<void(Scope)>& authorize) const;
  /// What may be done at a path; nothing for an unknown one.
  struct Allowed {
    std::string methods;  ///< "GET, HEAD"
    Scope scope;
    std::string_view pattern;
  };
  std::optional<Allowed> allowed(std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

  static constexpr std::size_t kMostParameters = 2;

 private:
  struct Segment {
    std::string_view name;     // of the parameter; empty: a literal
    std::string_view literal;  // the whole segment, or what follows the parameter
  };
  struct Matched {
    std::pair<std::string_view, std::string_view> parameters[kMostParameters];
    std::string decoded[kMostParameters];  // what the views are of where a segment was encoded
    std::size_t count = 0;
  };
  static std::vector<Segment> compile(std::string_view pattern);
  const Route* find(std::string_view method, std::string_view path, Matched& matched) const;
  std::string methods_of(const Route& chosen) const;
  static bool matches(const std::vector<Segment>& segments, std::string_view path, Matched& matched);

  std::vector<Route> routes_;
  std::vector<std::vector<Segment>> compiled_;  // one a route
};

/// A handler's result when the answer is known without the body.
Routed::Run answer(HttpResponse response);

}  // namespace qing::serve
