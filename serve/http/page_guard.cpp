#include "page_guard.h"

#include <string_view>

#include <qing/serve/common/characters.h>

namespace qing::serve {
namespace {

// Whether no page can have made this host point to the server: an address, localhost and the names below it, or a name
// without a dot, which nobody can register.
bool cannot_be_rebound(std::string_view host) {
  if (host.starts_with('[')) return true;
  host = host.substr(0, host.find(':'));
  if (host.empty()) return false;
  return has_only(host, is_digit, ".") || has_only(host, is_alphanumeric, "-_") || host.ends_with(".localhost");
}

// Whether a page of `origin` was read from `host`. The two schemes never share a port.
bool is_of(std::string_view origin, std::string_view host) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) return origin.substr(scheme.size()) == host;
  }
  return false;
}

}  // namespace

void PageGuard::check(const HttpHead& head, const Route& route) const {
  const bool admin = route.scope == Scope::kAdmin;
  if (!admin && (!route.of_project || (keys_ && !route.stream))) return;
  // Browsers mark requests with Origin and Sec-Fetch-Site.
  const std::string_view origin = head.header("Origin"), site = head.header("Sec-Fetch-Site"),
                         host = head.header("Host");
  const bool sure = cannot_be_rebound(host);
  if (origin.empty() && (site.empty() || site == "none")) {
    // A page at http:// reads from its own host without either mark (W3C Fetch Metadata, 2; WHATWG Fetch, "append a
    // request Origin header"). Every browser sends the host.
    if (keys_ || !loopback_ || sure || host.empty()) return;
    throw Refusal(error_response(403, "unsafe_host",
                                 "this server has no keys: ask it by its address, as localhost or by a name without a "
                                 "dot, because a web page can make any other name point to it; or give it keys"));
  }
  // A browser marks requests to an address with Sec-Fetch-Site only over https and on loopback.
  const bool own = site == "same-origin" ? keys_ || sure : site.empty() && (keys_ || sure) && is_of(origin, host);
  if (own || (!admin && cors_.allows(origin))) return;
  throw Refusal(error_response(403, "from_a_page",
                               "only the server's own page may do this, with a key or by the server's address; use "
                               "another client"));
}

}  // namespace qing::serve
