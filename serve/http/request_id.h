// The names by which a request is found again in logs.
#pragma once

#include <string>
#include <string_view>

namespace qing::serve {

/// A client's X-Request-Id if it is 1 to 64 of A-Z a-z 0-9 . _ -, else a new one of 16 hexadecimal digits. Thread-safe.
std::string request_id(std::string_view from_client);
/// A `traceparent` as it came if it is well-formed (W3C Trace Context, version 00), else empty.
std::string checked_traceparent(std::string_view header);

}  // namespace qing::serve
