#include "openai.h"
#include <qing/serve/common/json_text.h>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

bool below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::string_view type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace

bool asks_as_openai(const HttpHead& head) {
  if (!below(head.path, "/v1") || below(head.path, "/v1/admin")) return false;
  if (!below(head.path, "/v1/models")) return true;
  // GET /v1/models and /v1/models/{name} are OpenAI's and the service's own. Stainless, the generator of OpenAI's
  // clients, has them send X-Stainless-Lang.
  return head.method == "GET" && !head.header("X-Stainless-Lang").empty();
}

HttpResponse openai_error(HttpResponse response) {
  boost::system::error_code failed;
  const json::value body = json::parse(response.body, failed);
  const json::object* object = failed ? nullptr : body.if_object();
  const json::value* message = object == nullptr ? nullptr : object->if_contains("error");
  const json::value* code = object == nullptr ? nullptr : object->if_contains("code");
  if (response.status < 400 || message == nullptr || code == nullptr || !message->is_string() || !code->is_string()) {
    return response;
  }
  response.body =
      fmt::format(R"({{"error":{{"message":{},"type":"{}","param":null,"code":{}}}}})",
                  json_quoted(message->get_string()), type_of(response.status), json_quoted(code->get_string()));
  return response;
}

}  // namespace qing::serve::protocols
