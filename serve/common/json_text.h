// JSON text written by hand.
#pragma once

#include <string>
#include <string_view>

namespace qing::serve {

/// {"error": "...", "code": "..."}, as every error of the service reads. `message` must be UTF-8.
HttpResponse error_response(int status, std::string_view code, std::string_view message);
/// A 503 with its Retry-After.
HttpResponse unavailable(std::string_view code, std::string_view message, std::size_t retry_after_seconds);
/// `text` as a JSON string, quotes included.
std::string json_quoted(std::string_view text);

}  // namespace qing::serve
