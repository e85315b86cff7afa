// Changes to the models: the service's own routes below /v1/admin, and Open Inference's repository routes.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <iterator>

#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kTag = "admin";
constexpr std::string_view kModel = R"({"type":"object","required":["name","version"],"properties":{
"name":{"type":"string"},"version":{"type":"string"},"versions":{"type":"array","items":{"type":"string"}},
"previous":{"type":"string"},"trial":{"type":"object"}}})";
constexpr std::string_view kFailures = R"({"type":"object","required":["failed"],"properties":{"failed":{
"type":"object","additionalProperties":{"type":"string"}}}})";
constexpr std::string_view kAliases = R"({"type":"object","required":["aliases"],"properties":{"aliases":{
"type":"object","additionalProperties":{"type":"object"}}}})";
constexpr std::string_view kTarget = R"({"type":"object","required":["model"],"additionalProperties":{"type":"null"},
"properties":{"model":{"type":"string"},"version":{"oneOf":[{"type":"string",
"pattern":"^[1-9][0-9]{0,14}$"},{"type":"integer","minimum":1,"maximum":999999999999999},{"type":"null"}]}}})";
constexpr std::string_view kTrial = R"({"type":"object","required":["version"],"additionalProperties":{"type":"null"},
"properties":{"version":{"oneOf":[{"type":"string",
"pattern":"^[1-9][0-9]{0,14}$"},{"type":"integer","minimum":1,"maximum":999999999999999}]},
"share":{"type":["number","null"],"exclusiveMinimum":0,"maximum":1},"shadow":{"type":["boolean","null"]}}})";
constexpr std::string_view kObject = R"({"type":"object"})";

using Change = std::function<HttpResponse(Registry&)>;

// A web page in the administrator's browser could send such requests. Browsers mark them with these headers.
void refuse_pages(const HttpHead& head) {
  const std::string_view site = head.header("Sec-Fetch-Site");
  if (head.header("Origin").empty() && (site.empty() || site == "none" || site == "same-origin")) return;
  throw Refusal(error_response(403, "from_a_page", "changes to models are not for web pages; use another client"));
}

// `read` turns the body into a change. The change then runs on the model thread.
Route route(Service& service, std::string_view method, std::string_view pattern, Operation operation,
            std::function<Change(const std::string& name, const std::string& body)> read) {
  return {.method = method,
          .pattern = pattern,
          .scope = Scope::kAdmin,
          .body = BodyKind::kAny,
          .operation = operation,
          .open = [&service, read = std::move(read)](const Call& call) {
            refuse_pages(call.head);
            const std::string name(call.parameters.empty() ? std::string_view() : call.parameters.front().second);
            return [&service, read, name](const std::string& body, Routed::Reply reply) {
              service.change_models(std::move(reply), read(name, body));
            };
          }};
}

// The member "version", a number or a string of digits. 0 if it is absent.
std::int64_t version_of(const json::object& object) {
  const json::value* value = member(object, "version");
  if (value == nullptr) return 0;
  const auto number = integer_of(*value);
  const auto version = Registry::parse_version(value->is_string() ? std::string(value->get_string())
                                               : number           ? std::to_string(*number)
                                                                  : "");
  if (!version) refuse_field("version: must be a whole number from 1");
  return *version;
}

// An empty body, or an object with only these fields.
json::object read_object(const std::string& body, const Limits& limits,
                         std::initializer_list<std::string_view> fields) {
  if (body.empty()) return {};
  json::object object = as_object(parse_json(body, limits), R"({"version": 2})");
  check_members(object, "", fields);
  return object;
}

HttpResponse model_response(const Model& model) {
  JsonWriter json;
  json.begin_object().member("name", model.name).member("version", std::to_string(model.version));
  json.member("versions", version_texts(model.versions));
  if (model.previous != 0) json.member("previous", std::to_string(model.previous));
  write_trial(json, model);
  json.end();
  return {200, json.take(), {}};
}

HttpResponse aliases_response(const Registry& registry) {
  JsonWriter json;
  json.begin_object().key("aliases").begin_object();
  for (const auto& [alias, target] : registry.aliases()) {
    json.key(alias).begin_object().member("model", target.model);
    if (target.version != 0) json.member("version", std::to_string(target.version));
    json.end();
  }
  json.end().end();
  return {200, json.take(), {}};
}

HttpResponse failures_response(const Registry::Failures& failures) {
  JsonWriter json;
  json.begin_object().key("failed").begin_object();
  for (const auto& [name, failure] : failures) json.member(name, failure.text());
  json.end().end();
  return {200, json.take(), {}};
}

std::vector<Route> model_routes(Service& service) {
  const Limits& limits = service.limits();
  return {route(service, "POST", "/v1/admin/models/{name}/load",
                {kTag, "Loads a version, the highest unless the body says which", {}, kModel},
                [&limits](const std::string& name, const std::string& body) -> Change {
                  const std::int64_t version = version_of(read_object(body, limits, {"version"}));
                  return [=](Registry& registry) { return model_response(registry.load(name, version)); };
                }),
          route(service, "POST", "/v1/admin/models/{name}/unload", {kTag, "Serves a model no more", {}, kObject},
                [&limits](const std::string& name, const std::string& body) -> Change {
                  read_object(body, limits, {});
                  return [=](Registry& registry) { return registry.unload(name), HttpResponse{200, "{}", {}}; };
                }),
          route(service, "POST", "/v1/admin/models/{name}/rollback",
                {kTag, "Goes back to the version that answered before", {}, kModel},
                [&limits](const std::string& name, const std::string& body) -> Change {
                  read_object(body, limits, {});
                  return [=](Registry& registry) { return model_response(registry.rollback(name)); };
                }),
          route(service, "POST", "/v1/admin/rescan", {kTag, "Loads models and versions that are new", {}, kFailures},
                [&limits](const std::string&, const std::string& body) -> Change {
                  read_object(body, limits, {});
                  return [](Registry& registry) { return failures_response(registry.rescan()); };
                })};
}

double share_of(const json::object& object) {
  const json::value* value = member(object, "share");
  if (value == nullptr) return 1;
  boost::system::error_code error;
  const double share = value->to_number<double>(error);
  if (error) refuse_field("share: must be a number above 0 and at most 1");
  return share;
}

std::vector<Route> trial_routes(Service& service) {
  const Limits& limits = service.limits();
  return {route(service, "PUT", "/v1/admin/models/{name}/trial",
                {kTag, "Puts another version on trial: it answers a share of the callers, or as a shadow none", kTrial,
                 kModel},
                [&limits](const std::string& name, const std::string& body) -> Change {
                  const json::object object = read_object(body, limits, {"version", "share", "shadow"});
                  const Trial trial{version_of(object), share_of(object), flag_of(object, "", "shadow", false)};
                  if (trial.version == 0) refuse_field("version: is missing");
                  return [=](Registry& registry) { return model_response(registry.set_trial(name, trial)); };
                }),
          route(service, "DELETE", "/v1/admin/models/{name}/trial", {kTag, "Ends a trial", {}, kModel},
                [&limits](const std::string& name, const std::string& body) -> Change {
                  read_object(body, limits, {});
                  return [=](Registry& registry) { return model_response(registry.remove_trial(name)); };
                })};
}

std::vector<Route> alias_routes(Service& service) {
  const Limits& limits = service.limits();
  return {{.method = "GET",
           .pattern = "/v1/admin/aliases",
           .scope = Scope::kAdmin,
           .operation = {kTag, "All aliases", {}, kAliases},
           .open = [&service](const Call&) { return answer(aliases_response(service.registry())); }},
          route(service, "PUT", "/v1/admin/aliases/{alias}",
                {kTag, "Makes a name stand for a model, or for a version of it", kTarget, kAliases},
                [&limits](const std::string& alias, const std::string& body) -> Change {
                  const json::object object = read_object(body, limits, {"model", "version"});
                  const json::value* model = member(object, "model");
                  if (model == nullptr) refuse_field("model: is missing");
                  const Alias target{text_of(*model, "model", limits), version_of(object)};
                  return [=](Registry& registry) {
                    registry.set_alias(alias, target);
                    return aliases_response(registry);
                  };
                }),
          route(service, "DELETE", "/v1/admin/aliases/{alias}", {kTag, "Removes an alias", {}, kAliases},
                [&limits](const std::string& alias, const std::string& body) -> Change {
                  read_object(body, limits, {});
                  return [=](Registry& registry) {
                    registry.remove_alias(alias);
                    return aliases_response(registry);
                  };
                })};
}

// Triton's clients send an empty body or parameters. Only unload_dependents, which has no effect, is accepted.
void check_parameters(const std::string& body, const Limits& limits) {
  const json::object object = read_object(body, limits, {"parameters"});
  const json::value* parameters = member(object, "parameters");
  if (parameters == nullptr) return;
  if (!parameters->is_object()) refuse_field("parameters: must be an object");
  for (const auto& entry : parameters->get_object()) {
    if (entry.key() == "unload_dependents" || entry.value().is_null()) continue;
    refuse_field("parameters: models come from the server's folder alone; leave all but unload_dependents out");
  }
}

std::vector<Route> repository_routes(Service& service) {
  constexpr std::string_view kRepository = "Open Inference V2";
  const Limits& limits = service.limits();
  return {route(service, "POST", "/v2/repository/models/{name}/load",
                {kRepository, "Loads the highest version of a model", {}, kObject},
                [&limits](const std::string& name, const std::string& body) -> Change {
                  check_parameters(body, limits);
                  return [=](Registry& registry) { return registry.load(name, 0), HttpResponse{200, "{}", {}}; };
                }),
          route(service, "POST", "/v2/repository/models/{name}/unload",
                {kRepository, "Serves a model no more", {}, kObject},
                [&limits](const std::string& name, const std::string& body) -> Change {
                  check_parameters(body, limits);
                  return [=](Registry& registry) { return registry.unload(name), HttpResponse{200, "{}", {}}; };
                })};
}

}  // namespace

std::vector<Route> admin(Service& service) {
  std::vector<Route> all = model_routes(service);
  for (auto* more : {trial_routes, alias_routes, repository_routes}) {
    std::ranges::move(more(service), std::back_inserter(all));
  }
  return all;
}

}  // namespace qing::serve::protocols
