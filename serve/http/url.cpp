#include "url.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/ip/address.hpp>

#include <qing/serve/common/characters.h>
#include <qing/serve/http/message.h>

namespace qing::serve {
namespace {

// The scheme with "://" in any case; its length, or 0.
size_t scheme_length(std::string_view text, std::string_view scheme) {
  return same_name(text.substr(0, scheme.size()), scheme) ? scheme.size() : 0;
}

}  // namespace

std::optional<Url> Url::parse(std::string_view text) {
  Url url;
  const size_t secure = scheme_length(text, "https://"), plain = scheme_length(text, "http://");
  if (secure + plain == 0) return std::nullopt;
  url.tls = secure != 0;
  text.remove_prefix(secure + plain);
  const size_t end = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, end), rest = text.substr(end);
  const auto visible = [](char c) { return c > ' ' && c < 0x7f; };
  if (!has_only(rest, visible) || rest.find('#') != rest.npos) return std::nullopt;
  if (!rest.starts_with('/')) url.target += '/';
  url.target += rest;

  size_t host_end = authority.find(':');
  if (authority.starts_with('[')) {
    host_end = authority.find(']');
    if (host_end == authority.npos) return std::nullopt;
    url.host = authority.substr(1, host_end - 1);
    if (url.host.empty() || !has_only(url.host, is_hex, ":.")) return std::nullopt;
    ++host_end;
  } else {
    url.host = authority.substr(0, host_end);
    if (url.host.empty() || !has_only(url.host, is_alphanumeric, "-._")) return std::nullopt;
  }
  const std::string_view port = host_end < authority.size() ? authority.substr(host_end) : std::string_view();
  url.port = url.tls ? 443 : 80;
  if (port.empty()) return url;
  const auto [stop, error] = std::from_chars(port.data() + 1, port.data() + port.size(), url.port);
  const bool whole = port.front() == ':' && port.size() > 1 && stop == port.data() + port.size();
  return whole && error == std::errc() && url.port != 0 ? std::optional(url) : std::nullopt;
}

bool Url::loopback() const {
  boost::system::error_code no_address;
  const auto address = boost::asio::ip::make_address(host, no_address);
  return no_address ? same_name(host, "localhost") : address.is_loopback();
}

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return name + ":" + std::to_string(port);
}

}  // namespace qing::serve
