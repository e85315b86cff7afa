// Cross-origin resource sharing: which pages of other sites a browser lets call the service (WHATWG Fetch, "CORS
// protocol").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/http/message.h>

namespace qing::serve {

class CorsPolicy {
 public:
  /// `origins`: each as a browser sends it, such as https://app.example.org or http://localhost:3000, or "*" for all.
  /// None: no page of another site may call the service, and nothing is sent. ValueError on anything else.
  explicit CorsPolicy(const std::vector<std::string>& origins);

  bool enabled() const { return any_ || !origins_.empty(); }
  /// Whether a page of `origin` may call the service. Not for an empty one: no browser asks then.
  bool allows(std::string_view origin) const;
  /// What every response to a request with this header `Origin` has, be it an error.
  HttpFields fields(std::string_view origin) const;
  /// Whether a request is a preflight: a browser asks on behalf of a page whether it may send another request.
  static bool is_preflight(const HttpHead& head);
  /// The answer to a preflight by a page that is allowed; `methods` are those of the route.
  static HttpResponse preflight(std::string_view methods);

 private:
  std::vector<std::string> origins_;
  bool any_ = false;
};

}  // namespace qing::serve
