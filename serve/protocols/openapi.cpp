#include "openapi.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include <qing/serve/common/json_text.h>
#include <qing/serve/common/version.h>

namespace qing::serve {
namespace {

std::string parameters_json(std::string_view pattern) {
  std::string list;
  for (std::size_t open = pattern.find('{'); open != pattern.npos; open = pattern.find('{', open + 1)) {
    const std::string_view name = pattern.substr(open + 1, pattern.find('}', open) - open - 1);
    const std::string_view form = name == "version" ? "^[1-9][0-9]{0,14}$" : "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$";
    list += fmt::format(R"({}{{"name":"{}","in":"path","required":true,"schema":{{"type":"string","pattern":"{}"}}}})",
                        list.empty() ? "" : ",", name, form);
  }
  return list;
}

// "get_v1_models_name" for GET /v1/models/{name}: unique, and a name in any language.
std::string operation_id(const Route& route) {
  std::string id = lower(route.method);
  for (const char c : route.pattern) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain) {
      id += c;
    } else if (id.back() != '_') {
      id += '_';
    }
  }
  while (id.back() == '_') id.pop_back();
  // {name}:predict and {name}/predict would read alike.
  return route.pattern.find(':') == route.pattern.npos ? id : id + "_v1";
}

std::string operation_json(const Route& route) {
  const Operation& operation = route.operation;
  std::string json = fmt::format(R"({{"operationId":"{}","tags":[{}],"summary":{})", operation_id(route),
                                 json_quoted(operation.tag), json_quoted(operation.summary));
  if (const std::string parameters = parameters_json(route.pattern); !parameters.empty()) {
    json += R"(,"parameters":[)" + parameters + "]";
  }
  if (!operation.request.empty()) {
    json += fmt::format(R"(,"requestBody":{{"required":{},"content":{{"application/json":{{"schema":{}}}}}}})",
                        !operation.optional_request, operation.request);
  }
  const std::string_view schema = operation.response.empty() ? R"({"type":"string"})" : operation.response;
  json += fmt::format(R"(,"responses":{{"200":{{"description":"OK","content":{{"{}":{{"schema":{}}}}}}},)"
                      R"("default":{{"$ref":"#/components/responses/Error"}}}})",
                      operation.response_type, schema);
  if (route.scope == Scope::kOpen) json += R"(,"security":[])";
  return json + "}";
}

}  // namespace

std::string openapi_json(const std::vector<Route>& routes, std::string_view base) {
  std::map<std::string_view, std::string> paths;
  for (const Route& route : routes) {
    std::string& path = paths[route.pattern];
    path += fmt::format(R"({}"{}":{})", path.empty() ? "" : ",", lower(route.method), operation_json(route));
  }
  std::string body = R"({"openapi":"3.1.0","info":{"title":"qing","version":")" + std::string(kVersion) +
                     R"(","license":{"name":"Apache-2.0","identifier":"Apache-2.0"}},)";
  if (!base.empty()) body += fmt::format(R"("servers":[{{"url":{}}}],)", json_quoted(base));
  body += R"("security":[{"bearer":[]},{"key":[]},{}],"paths":{)";
  bool first = true;
  for (const auto& [pattern, operations] : paths) {
    body += fmt::format("{}{}:{{{}}}", first ? "" : ",", json_quoted(pattern), operations);
    first = false;
  }
  return body + R"(},"components":{"securitySchemes":{"bearer":{"type":"http","scheme":"bearer"},)"
                R"("key":{"type":"apiKey","in":"header","name":"X-API-Key"}},"responses":{"Error":{)"
                R"("description":"What was wrong and what to do","content":{"application/json":{"schema":{)"
                R"("type":"object","required":["error","code"],"properties":{"error":{"type":"string"},)"
                R"("code":{"type":"string"}}}}}}}}})";
}

}  // namespace qing::serve
