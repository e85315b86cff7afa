#include "openai.h"

#include <qing/serve/common/json_writer.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
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
  const std::optional<ErrorText> error = error_of(response);
  if (!error) return response;
  JsonWriter json;
  json.begin_object().key("error").begin_object().member("message", error->message);
  json.member("type", type_of(response.status)).key("param").raw("null").member("code", error->code).end().end();
  response.body = json.take();
  return response;
}

}  // namespace qing::serve::protocols
