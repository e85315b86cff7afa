#include "openapi.h"

#include <map>

#include <fmt/format.h>

#include <qing/serve/common/characters.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/version.h>

namespace qing::serve {
namespace {

// Writes the member "parameters" with those of the route's path.
void write_parameters(JsonWriter& json, std::string_view pattern) {
  size_t open = pattern.find('{');
  if (open == pattern.npos) return;
  json.key("parameters").begin_array();
  for (; open != pattern.npos; open = pattern.find('{', open + 1)) {
    const std::string_view name = pattern.substr(open + 1, pattern.find('}', open) - open - 1);
    const std::string_view form = name == "version" ? "^[1-9][0-9]{0,14}$" : "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$";
    json.begin_object().member("name", name).member("in", "path").member("required", true);
    json.key("schema").begin_object().member("type", "string").member("pattern", form).end().end();
  }
  json.end();
}

// "get_v1_models_name" for GET /v1/models/{name}: unique, and a valid identifier in any language.
std::string operation_id(const Route& route) {
  std::string id = lower(route.method);
  for (const char c : route.pattern) {
    if (is_lower(c) || is_digit(c)) {
      id += c;
    } else if (id.back() != '_') {
      id += '_';
    }
  }
  while (id.back() == '_') id.pop_back();
  // {name}:predict and {name}/predict would have the same id.
  return route.pattern.find(':') == route.pattern.npos ? id : id + "_v1";
}

void write_content(JsonWriter& json, std::string_view type, std::string_view schema) {
  json.key("content").begin_object().key(type).begin_object().key("schema").raw(schema).end().end();
}

constexpr std::string_view kErrorName = "Error";  // of the service's own form

void write_operation(JsonWriter& json, const Route& route) {
  const Operation& operation = route.operation;
  json.begin_object().member("operationId", operation_id(route));
  json.key("tags").begin_array().value(operation.tag).end().member("summary", operation.summary);
  write_parameters(json, route.pattern);
  if (!operation.request.empty()) {
    json.key("requestBody").begin_object().member("required", !operation.optional_request);
    write_content(json, kJsonType, operation.request);
    json.end();
  }
  json.key("responses").begin_object().key("200").begin_object().member("description", "OK");
  write_content(json, operation.response_type,
                operation.response.empty() ? R"({"type":"string"})" : operation.response);
  const std::string_view error = route.error_form == nullptr ? kErrorName : route.error_form->name;
  json.end().key("default").begin_object().member("$ref", fmt::format("#/components/responses/{}", error));
  json.end().end();
  if (route.scope == Scope::kOpen) json.key("security").begin_array().end();
  json.end();
}

constexpr std::string_view kError =
    R"({"type":"object","required":["error","code"],"properties":{"error":{"type":"string"},"code":{"type":"string"}}})";

void write_error(JsonWriter& json, std::string_view name, std::string_view schema) {
  json.key(name).begin_object().member("description", "What was wrong and what to do");
  write_content(json, kJsonType, schema);
  json.end();
}

void write_components(JsonWriter& json, const std::vector<Route>& routes) {
  std::map<std::string_view, std::string_view> forms;  // schemas by name
  for (const Route& route : routes) {
    if (route.error_form != nullptr) forms.emplace(route.error_form->name, route.error_form->schema);
  }
  json.key("components").begin_object().key("securitySchemes");
  json.raw(R"({"bearer":{"type":"http","scheme":"bearer"},"key":{"type":"apiKey","in":"header","name":"X-API-Key"}})");
  json.key("responses").begin_object();
  write_error(json, kErrorName, kError);
  for (const auto& [name, schema] : forms) write_error(json, name, schema);
  json.end().end();
}

}  // namespace

std::string openapi_json(const std::vector<Route>& routes, std::string_view base) {
  std::map<std::string_view, std::vector<const Route*>> paths;
  for (const Route& route : routes) paths[route.pattern].push_back(&route);
  JsonWriter json;
  json.begin_object().member("openapi", "3.1.0");
  json.key("info").begin_object().member("title", "qing").member("version", kVersion);
  json.key("license").begin_object().member("name", "Apache-2.0").member("identifier", "Apache-2.0").end().end();
  if (!base.empty()) json.key("servers").begin_array().begin_object().member("url", base).end().end();
  json.key("security").raw(R"([{"bearer":[]},{"key":[]},{}])").key("paths").begin_object();
  for (const auto& [pattern, operations] : paths) {
    json.key(pattern).begin_object();
    for (const Route* route : operations) {
      json.key(lower(route->method));
      write_operation(json, *route);
    }
    json.end();
  }
  json.end();
  write_components(json, routes);
  json.end();
  return json.take();
}

}  // namespace qing::serve
