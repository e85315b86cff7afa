// What the log says of a request and its client.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <qing/serve/http/message.h>

namespace qing::serve {

/// How much of a client's address is shown. kTruncated: the first 24 bits of an IPv4 address and the first 48 of an
/// IPv6 address, with zeros for the rest, so that a line names a network and no person.
enum class ClientAddress { kOff, kTruncated, kFull };

struct RequestLogOptions {
  bool lines = true;  ///< one line per request
  ClientAddress client = ClientAddress::kOff;
  /// Whether a proxy in front appends the address of its client to X-Forwarded-For. The last address there is then the
  /// client's. What stands before it may be made up by the client.
  bool trust_forwarded_for = false;
};

/// The address as the log shows it. `forwarded` is the value of X-Forwarded-For. If its last entry is to be trusted and
/// is an IP address, that is the client's. Empty for kOff and for a text that is no address.
std::string shown_client(const RequestLogOptions& options, std::string_view address, std::string_view forwarded);

/// Writes the line of an answered request.
void log_request(const Routed& routed, int status, std::chrono::steady_clock::duration time);

}  // namespace qing::serve
