#include <qing/serve/common/json_text.h>

#include <fmt/format.h>
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace qing::serve {

std::string json_quoted(std::string_view text) { return boost::json::serialize(boost::json::value(text)); }

HttpResponse error_response(int status, std::string_view code, std::string_view message) {
  return {status, fmt::format(R"({{"error":{},"code":{}}})", json_quoted(message), json_quoted(code)), {}};
}

}  // namespace qing::serve
