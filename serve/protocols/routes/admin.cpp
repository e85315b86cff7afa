// Changes to the models: the service's own routes below /v1/admin, and Open Inference's repository routes.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/model_changes.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kTag = "admin";
constexpr std::string_view kFailures = R"({"type":"object","required":["failed"],"properties":{"failed":{
"type":"object","additionalProperties":{"type":"string"}}}})";
constexpr std::string_view kAliases = R"({"type":"object","required":["aliases"],"properties":{"aliases":{
"type":"object","additionalProperties":{"type":"object"}}}})";
constexpr std::string_view kTarget = R"({"type":"object","required":["model"],"additionalProperties":{"type":"null"},
"properties":{"model":{"type":"string"},"version":{"oneOf":[{"type":"string",
"pattern":"^[1-9][0-9]{0,14}$"},{"type":"integer","minimum":1,"maximum":999999999999999},{"type":"null"}]}}})";
constexpr std::string_view kObject = R"({"type":"object"})";

// Aliases of other projects' models are left out.
HttpResponse aliases_response(const Service& service, const Registry& registry, const std::string& key) {
  JsonWriter json;
  json.begin_object().key("aliases").begin_object();
  for (const auto& [alias, target] : registry.aliases()) {
    if (!service.visible(target.model, key)) continue;
    json.key(alias).begin_object().member("model", target.model);
    if (target.version != 0) json.member("version", std::to_string(target.version));
    json.end();
  }
  json.end().end();
  return {200, json.take(), {}};
}

HttpResponse failures_response(const Service& service, const Registry::Failures& failures, const std::string& key) {
  JsonWriter json;
  json.begin_object().key("failed").begin_object();
  for (const auto& [name, failure] : failures) {
    if (service.visible(name, key)) json.member(name, failure.text());
  }
  json.end().end();
  return {200, json.take(), {}};
}

std::string version_detail(std::int64_t version) {
  return version == 0 ? "the highest version" : fmt::format("version {}", version);
}

std::vector<Route> model_routes(Service& service) {
  const Limits& limits = service.limits();
  return {
      model_change(service, "POST", "/v1/admin/models/{name}/load", "model.load",
                   {kTag,
                    "Loads a version, the highest unless the body says which. One with other labels than the version "
                    "that answers is refused, unless replace_labels is true",
                    {},
                    kChangedModel},
                   [&limits](const ChangeRequest& request) -> ReadChange {
                     const json::object object = read_object(request.body, limits, {"version", "replace_labels"});
                     const std::int64_t version = version_of(object);
                     const auto labels = replacing(flag_of(object, "", "replace_labels", false));
                     return {version_detail(version), [=, name = request.name](Registry& registry) {
                               return model_response(registry.load(name, version, labels));
                             }};
                   }),
      model_change(service, "POST", "/v1/admin/models/{name}/unload", "model.unload",
                   {kTag, "Serves a model no more", {}, kObject},
                   [&limits](const ChangeRequest& request) -> ReadChange {
                     read_object(request.body, limits, {});
                     return {{}, [name = request.name](Registry& registry) {
                               registry.unload(name);
                               return HttpResponse{200, "{}", {}};
                             }};
                   }),
      model_change(
          service, "POST", "/v1/admin/models/{name}/rollback", "model.rollback",
          {kTag, "Goes back to the version that answered before", {}, kChangedModel},
          [&limits](const ChangeRequest& request) -> ReadChange {
            read_object(request.body, limits, {});
            return {{}, [name = request.name](Registry& registry) { return model_response(registry.rollback(name)); }};
          }),
      model_change(service, "POST", "/v1/admin/rescan", "models.rescan",
                   {kTag, "Loads models and versions that are new", {}, kFailures},
                   [&service, &limits](const ChangeRequest& request) -> ReadChange {
                     read_object(request.body, limits, {});
                     return {{}, [&service, key = request.key](Registry& registry) {
                               return failures_response(service, registry.rescan(), key);
                             }};
                   })};
}

// An alias of a model that the caller does not see is another project's: its name is in use, and that is all that is
// told of it.
Registry::MayChange changes_of(const Service& service, const std::string& key) {
  return [&service, key](const std::string& model) { return service.visible(model, key); };
}

ReadChange read_alias(const Service& service, const ChangeRequest& request) {
  const json::object object = read_object(request.body, service.limits(), {"model", "version"});
  const json::value* model = member(object, "model");
  if (model == nullptr) refuse_field("model: is missing");
  const Alias target{text_of(*model, "model", service.limits()), version_of(object)};
  return {fmt::format("{}, {}", is_model_name(target.model) ? target.model : "",
                      target.version == 0 ? "the active version" : version_detail(target.version)),
          [&service, target, alias = request.name, key = request.key](Registry& registry) {
            if (!service.visible(target.model, key)) Registry::throw_unknown(target.model);
            // The registry does not know a model that another server's job has just made.
            if (registry.find(target.model) && service.owner(alias)) Registry::throw_taken(alias);
            registry.set_alias(alias, target, changes_of(service, key));
            return aliases_response(service, registry, key);
          }};
}

ReadChange read_alias_removal(const Service& service, const ChangeRequest& request) {
  read_object(request.body, service.limits(), {});
  return {{}, [&service, alias = request.name, key = request.key](Registry& registry) {
            registry.remove_alias(alias, changes_of(service, key));
            return aliases_response(service, registry, key);
          }};
}

std::vector<Route> alias_routes(Service& service) {
  return {{.method = "GET",
           .pattern = "/v1/admin/aliases",
           .scope = Scope::kAdmin,
           .operation = {kTag, "All aliases", {}, kAliases},
           .open = [&service](
                       const Call& call) { return answer(aliases_response(service, service.registry(), call.key)); }},
          registry_change(service, "PUT", "/v1/admin/aliases/{alias}", "alias.set",
                          {kTag, "Makes a name stand for a model, or for a version of it", kTarget, kAliases},
                          [&service](const ChangeRequest& request) { return read_alias(service, request); }),
          registry_change(service, "DELETE", "/v1/admin/aliases/{alias}", "alias.remove",
                          {kTag, "Removes an alias", {}, kAliases},
                          [&service](const ChangeRequest& request) { return read_alias_removal(service, request); })};
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
  return {model_change(service, "POST", "/v2/repository/models/{name}/load", "model.load",
                       {kRepository, "Loads the highest version of a model", {}, kObject},
                       [&limits](const ChangeRequest& request) -> ReadChange {
                         check_parameters(request.body, limits);
                         return {version_detail(0), [name = request.name](Registry& registry) {
                                   registry.load(name, 0);
                                   return HttpResponse{200, "{}", {}};
                                 }};
                       }),
          model_change(service, "POST", "/v2/repository/models/{name}/unload", "model.unload",
                       {kRepository, "Serves a model no more", {}, kObject},
                       [&limits](const ChangeRequest& request) -> ReadChange {
                         check_parameters(request.body, limits);
                         return {{}, [name = request.name](Registry& registry) {
                                   registry.unload(name);
                                   return HttpResponse{200, "{}", {}};
                                 }};
                       })};
}

}  // namespace

std::vector<Route> admin(Service& service) {
  std::vector<Route> all = model_routes(service);
  for (auto* more : {alias_routes, repository_routes}) { std::ranges::move(more(service), std::back_inserter(all)); }
  return all;
}

}  // namespace qing::serve::protocols
