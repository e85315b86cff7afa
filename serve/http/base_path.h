// A service below a prefix of a site's paths, such as /qing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <qing/serve/http/message.h>

namespace qing::serve {

class BasePath {
 public:
  /// `prefix`: empty, or segments such as /tools/qing of letters, digits and "-._~"; a slash at the end says the same.
  /// ValueError on anything else. `trust_forwarded`: the proxy in front says in X-Forwarded-Prefix what it has taken
  /// off the front of the client's path.
  BasePath(std::string_view prefix, bool trust_forwarded);

  /// Takes the prefix off the path of a request and finds head.base, which lives in `base`. A refusal when the path is
  /// not below the prefix (404), or a trusted X-Forwarded-Prefix is none (400).
  std::optional<HttpResponse> enter(HttpHead& head, std::string& base) const;
  /// Where a browser is to go that left out the slash behind the prefix: addresses in the page are relative to it.
  std::optional<HttpResponse> redirect(std::string_view path, const HttpHead& head) const;
  const std::string& prefix() const { return prefix_; }  ///< without a slash at its end
  bool trusts_forwarded() const { return trust_forwarded_; }

 private:
  std::string prefix_;
  bool trust_forwarded_;
};

}  // namespace qing::serve
