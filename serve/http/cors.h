// Cross-origin resource sharing: which pages of other sites may call the service from a browser (WHATWG Fetch, "CORS
// protocol").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/http/message.h>

namespace qing::serve {

/// Immutable once made, so it is thread-safe.
class CorsPolicy {
 public:
  /// `origins`: each as a browser sends it, such as https://app.example.org or http://localhost:3000, or "*" for all.
  /// An empty list allows no other site and sends no CORS headers. ValueError for anything else.
  explicit CorsPolicy(const std::vector<std::string>& origins);

  bool enabled() const { return any_ || !origins_.empty(); }
  /// Whether a page of `origin` may call the service. False for an empty origin, which no browser sends.
  bool allows(std::string_view origin) const;
  /// The header fields of every response, errors included, to a request with this `Origin`.
  HttpFields fields(std::string_view origin) const;
  /// Whether a request is a preflight: the browser asks whether a page may send another request.
  static bool is_preflight(const HttpHead& head);
  /// The response to a preflight of an allowed page; `methods` are those of the route.
  static HttpResponse preflight(std::string_view methods);

 private:
  std::vector<std::string> origins_;
  bool any_ = false;
};

}  // namespace qing::serve
