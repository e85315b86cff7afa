// The Retry-After header of a response (RFC 9110, 10.2.3).
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace qing::serve {

/// How long the sender asks to wait: a number of seconds, or the time from `now` to a date in any of HTTP's three forms
/// (RFC 9110, 5.6.7), 0 when that is over. Nothing for any other text. Dates are in UTC, whatever the time zone is.
std::optional<std::chrono::seconds> retry_after(std::string_view value, std::chrono::sys_seconds now);

}  // namespace qing::serve
