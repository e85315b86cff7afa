#include "message.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

namespace qing::serve {

std::string json_quoted(std::string_view text) { return boost::json::serialize(boost::json::value(text)); }

HttpResponse error_response(int status, std::string_view code, std::string_view message) {
  return {status, fmt::format(R"({{"error":{},"code":{}}})", json_quoted(message), json_quoted(code)), {}};
}

HttpResponse unavailable(std::string_view code, std::string_view message, int retry_after_seconds) {
  HttpResponse response = error_response(503, code, message);
  response.headers.emplace_back("Retry-After", std::to_string(retry_after_seconds));
  return response;
}

}  // namespace qing::serve
