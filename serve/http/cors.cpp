#include "cors.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <qing/serve/common/characters.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

// Request headers that a page may send: those that routes read, and all others, since clients such as openai's add
// their own. "*" does not cover Authorization (Fetch, 4.10).
constexpr std::string_view kAllowedHeaders =
    "*, Authorization, Content-Type, Inference-Header-Content-Length, Request-Timeout, traceparent, X-API-Key, "
    "X-Caller-Id, X-Request-Id";
// Response headers that a page may read in addition to the CORS-safelisted ones.
constexpr std::string_view kExposedHeaders =
    "Allow, Inference-Header-Content-Length, Retry-After, traceparent, WWW-Authenticate, X-Request-Id";
// Two hours, the longest time that Chromium caches a preflight.
constexpr std::string_view kMaxAge = "7200";

bool is_lower_or_digit(char c) { return is_lower(c) || is_digit(c); }

// scheme "://" host [ ":" port ] as browsers serialize it (RFC 6454, 6.2): in lower case, without a scheme's usual
// port.
bool is_origin(std::string_view text) {
  const size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0) return false;
  const std::string_view scheme = text.substr(0, scheme_end);
  if (!has_only(scheme, is_lower_or_digit, "+-.") || !is_lower(scheme[0])) return false;
  text.remove_prefix(scheme_end + 3);
  size_t host_end = std::min(text.find(':'), text.size());
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close < 3 || !has_only(text.substr(1, close - 1), is_lower_or_digit, ":."))
      return false;
    host_end = close + 1;
  } else if (host_end == 0 || !has_only(text.substr(0, host_end), is_lower_or_digit, "-._~")) {
    return false;
  }
  const std::string_view port = text.substr(host_end);
  if (port.empty()) return true;
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), number);
  const bool plain = error == std::errc() && end == port.data() + port.size() && port[0] == ':' && port[1] != '0';
  const unsigned usual = scheme == "http" ? 80 : scheme == "https" ? 443 : 0;
  return plain && number <= 65535 && number != usual;
}

}  // namespace

CorsPolicy::CorsPolicy(const std::vector<std::string>& origins) {
  for (const std::string& origin : origins) {
    if (origin == "*") {
      any_ = true;
    } else if (is_origin(origin)) {
      origins_.push_back(origin);
    } else {
      throw ValueError(
          fmt::format("CORS origin '{}': not an origin as browsers send it; write https://app.example.org or "
                      "http://localhost:3000, in lower case, without a path, a final slash or the usual port, or *",
                      origin));
    }
  }
  if (any_ && origins.size() > 1) throw ValueError("CORS origins: * beside others; give * alone, or leave it out");
}

bool CorsPolicy::allows(std::string_view origin) const {
  return !origin.empty() && (any_ || std::ranges::find(origins_, origin) != origins_.end());
}

HttpFields CorsPolicy::fields(std::string_view origin) const {
  if (!enabled()) return {};
  HttpFields fields;
  if (any_) fields.emplace_back("Access-Control-Allow-Origin", "*");
  // A cache must not reuse the response for another origin.
  if (!any_) fields.emplace_back("Vary", "Origin");
  if (!any_ && allows(origin)) fields.emplace_back("Access-Control-Allow-Origin", origin);
  if (any_ || allows(origin)) fields.emplace_back("Access-Control-Expose-Headers", kExposedHeaders);
  return fields;
}

bool CorsPolicy::is_preflight(const HttpHead& head) {
  return head.method == "OPTIONS" && !head.header("Origin").empty() &&
         !head.header("Access-Control-Request-Method").empty();
}

HttpResponse CorsPolicy::preflight(std::string_view methods) {
  return {204,
          {},
          {{"Access-Control-Allow-Methods", std::string(methods)},
           {"Access-Control-Allow-Headers", std::string(kAllowedHeaders)},
           {"Access-Control-Max-Age", std::string(kMaxAge)}},
          {}};
}

}  // namespace qing::serve
