#include "base_path.h"

#include <fmt/format.h>

#include <qing/serve/common/characters.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

constexpr size_t kLongest = 256;

// The prefix without its final slash, or nothing if it is no valid prefix. "//host" and "/../" are invalid: a browser
// would resolve them to another place.
std::optional<std::string_view> normalized(std::string_view prefix) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (prefix.size() > kLongest) return std::nullopt;
  for (std::string_view rest = prefix; !rest.empty();) {
    if (rest.front() != '/') return std::nullopt;
    rest.remove_prefix(1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    if (!has_only(segment, is_alphanumeric, "-._~") || segment.empty() || segment == "." || segment == "..")
      return std::nullopt;
  }
  return prefix;
}

}  // namespace

BasePath::BasePath(std::string_view prefix, bool trust_forwarded) : trust_forwarded_(trust_forwarded) {
  const auto checked = normalized(prefix);
  if (!checked) {
    throw ValueError(
        fmt::format("base path '{}': not a prefix such as /qing; write segments of letters, digits and -._~, "
                    "each behind a slash",
                    prefix));
  }
  prefix_ = *checked;
}

std::optional<HttpResponse> BasePath::enter(HttpHead& head, std::string& base) const {
  if (trust_forwarded_) {
    const std::string_view forwarded = head.header("X-Forwarded-Prefix");
    const auto checked = normalized(forwarded);
    if (!checked) {
      return error_response(400, "bad_forwarded_prefix",
                            "X-Forwarded-Prefix: not one prefix such as /qing; correct the proxy's configuration");
    }
    if (!checked->empty()) base = fmt::format("{}{}/", *checked, prefix_);
    head.base = base;
  }
  if (prefix_.empty() || head.path == "*") return std::nullopt;
  std::string_view path = head.path;
  const bool below = path.starts_with(prefix_);
  if (below) path.remove_prefix(prefix_.size());
  if (!below || (!path.empty() && path.front() != '/')) {
    return error_response(404, "unknown_route", fmt::format("no such route; all routes are below {}/", prefix_));
  }
  head.path = path.empty() ? std::string_view("/") : path;
  return std::nullopt;
}

std::optional<HttpResponse> BasePath::redirect(std::string_view path, const HttpHead& head) const {
  const bool page = (head.method == "GET" || head.method == "HEAD") &&
                    head.header("Accept").find("text/html") != std::string_view::npos;
  if (prefix_.empty() || path != prefix_ || !page) return std::nullopt;
  // The location is relative to the requested path, so that it is right behind a proxy that removes a longer prefix.
  std::string to = head.base.empty() ? prefix_.substr(prefix_.rfind('/') + 1) + "/" : std::string(head.base);
  if (!head.query.empty()) to.append("?").append(head.query);
  return HttpResponse{308, {}, {{"Location", std::move(to)}, {"Vary", "Accept"}}, {}};
}

}  // namespace qing::serve
