// The parts of an http or https URL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qing::serve {

struct Url {
  bool tls = false;
  std::string host;  ///< a name or an address; an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::string target;  ///< path and query; begins with '/'

  /// Nothing for another scheme, for a URL with a user or a fragment, and for one that is malformed.
  static std::optional<Url> parse(std::string_view text);
  /// Whether the host is this machine by its address or as "localhost".
  bool loopback() const;
  /// The value of the header Host.
  std::string authority() const;
};

}  // namespace qing::serve
