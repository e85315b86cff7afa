// The path prefix of the service on a site, such as /qing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <qing/serve/http/message.h>

namespace qing::serve {

/// Immutable once made, so it is thread-safe.
class BasePath {
 public:
  /// `prefix`: empty, or segments such as /tools/qing of letters, digits and "-._~"; a trailing slash is ignored.
  /// ValueError for anything else. `trust_forwarded`: X-Forwarded-Prefix holds the prefix that the proxy removed from
  /// the client's path.
  BasePath(std::string_view prefix, bool trust_forwarded);

  /// Removes the prefix from the path of a request and sets head.base, a view of `base`. Returns a refusal when the
  /// path is not below the prefix (404) or a trusted X-Forwarded-Prefix is invalid (400).
  std::optional<HttpResponse> enter(HttpHead& head, std::string& base) const;
  /// The redirect for a browser that omitted the slash after the prefix. The page has relative addresses, which need
  /// it.
  std::optional<HttpResponse> redirect(std::string_view path, const HttpHead& head) const;
  const std::string& prefix() const { return prefix_; }  ///< without a trailing slash
  bool trusts_forwarded() const { return trust_forwarded_; }

 private:
  std::string prefix_;
  bool trust_forwarded_;
};

}  // namespace qing::serve
