#include "model_changes.h"

#include <utility>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
namespace json = boost::json;

constexpr std::string_view kChangedModel = R"({"type":"object","required":["name","version"],"properties":{
"name":{"type":"string"},"version":{"type":"string"},"versions":{"type":"array","items":{"type":"string"}},
"previous":{"type":"string"},"trial":{"type":"object"}}})";

Route registry_change(Service& service, std::string_view method, std::string_view pattern, std::string_view action,
                      Operation operation, std::function<ReadChange(const ChangeRequest&)> read) {
  return {.method = method,
          .pattern = pattern,
          .scope = Scope::kAdmin,
          .body = BodyKind::kAny,
          .operation = operation,
          .open = [&service, action, read = std::move(read)](const Call& call) {
            const std::string name(call.parameters.empty() ? std::string_view() : call.parameters.front().second);
            return [&service, read, name, action](const std::string& body, Routed::Reply reply) {
              ReadChange change = read({name, body, reply.key});
              service.change_models(std::move(reply),
                                    {std::string(action), name, std::move(change.detail), std::move(change.run)});
            };
          }};
}

Route model_change(Service& service, std::string_view method, std::string_view pattern, std::string_view action,
                   Operation operation, std::function<ReadChange(const ChangeRequest&)> read) {
  const auto read_visible = [&service, read = std::move(read)](const ChangeRequest& request) {
    ReadChange change = read(request);
    // The check is inside the change, since the model thread is the first to know the owners of models.
    change.run = [&service, name = request.name, key = request.key, run = std::move(change.run)](Registry& registry) {
      if (!service.visible(name, key)) Registry::throw_unknown(name);
      return run(registry);
    };
    return change;
  };
  return registry_change(service, method, pattern, action, operation, read_visible);
}

std::int64_t version_of(const json::object& object) {
  const json::value* value = member(object, "version");
  if (value == nullptr) return 0;
  const auto number = integer_of(*value);
  const auto version = version_of_name(value->is_string() ? std::string(value->get_string())
                                       : number           ? std::to_string(*number)
                                                          : "");
  if (!version) refuse_field("version: must be a whole number from 1");
  return *version;
}

json::object read_object(const std::string& body, const Limits& limits,
                         std::initializer_list<std::string_view> fields) {
  if (body.empty()) return {};
  json::object object = as_object(parse_json(body, limits), R"({"version": 2})");
  check_members(object, "", fields);
  return object;
}

Registry::Replacing replacing(bool replace_labels) {
  return replace_labels ? Registry::Replacing::kAnyLabels : Registry::Replacing::kSameLabels;
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

}  // namespace qing::serve::protocols
