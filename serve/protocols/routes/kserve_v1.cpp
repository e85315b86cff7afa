// KServe's first protocol: POST /v1/models/{name}:predict and :explain with {"instances": [...]}. Its readiness route
// GET /v1/models/{name} is in native.cpp, and its liveness route GET / is in web_page.cpp.
#include <qing/serve/protocols/protocols.h>

#include <fmt/format.h>

#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/explanation_json.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kRequest = R"({"type":"object","required":["instances"],
"additionalProperties":{"type":"null"},"properties":{"instances":{"type":"array","items":{"oneOf":[{"type":"string"},
{"type":"object","required":["text"],"additionalProperties":{"type":"null"},
"properties":{"text":{"type":"string"}}}]}}}})";
constexpr std::string_view kPredictions =
    R"({"type":"object","required":["predictions"],"properties":{"predictions":{"type":"array"}}})";
constexpr std::string_view kExplanations = R"({"type":"object","required":["predictions","explanations"],"properties":{
"predictions":{"type":"array"},"explanations":{"type":"array"}}})";

// An instance is a text, or {"text": "..."}.
std::vector<std::string> read_instances(const std::string& body, const Limits& limits) {
  const json::value parsed = parse_json(body, limits);
  const json::object& request = as_object(parsed, R"({"instances": ["..."]})");
  check_members(request, "", {"instances"});
  const json::value* list = member(request, "instances");
  if (list == nullptr || !list->is_array()) refuse_field("instances: must be a list of strings");
  const json::array& instances = list->get_array();
  check_count(instances.size(), "instances", limits);
  std::vector<std::string> texts;
  for (size_t i = 0; i < instances.size(); ++i) {
    const json::object* object = instances[i].if_object();
    if (object != nullptr) check_members(*object, fmt::format("instances[{}]", i), {"text"});
    const json::value* text = object == nullptr ? &instances[i] : member(*object, "text");
    const std::string field = fmt::format("instances[{}]{}", i, object == nullptr ? "" : ".text");
    if (text == nullptr) refuse_field(field + ": is missing");
    texts.push_back(text_of(*text, field, limits));
  }
  return texts;
}

HttpResponse write(const Answer& answer, bool explain) {
  static const std::vector<nn::Explanation> kNone;  // this protocol has a separate list of explanations
  const Answer plain{answer.model, answer.predictions, kNone, answer.texts};
  JsonWriter json;
  json.begin_object().key("predictions").begin_array();
  for (size_t i = 0; i < answer.predictions.size(); ++i) write_prediction(json, plain, i);
  json.end();
  if (explain) {
    json.key("explanations").begin_array();
    for (size_t i = 0; i < answer.explanations.size(); ++i) {
      json.raw(explanation_json(answer.explanations[i], answer.texts[i], answer.labels()));
    }
    json.end();
  }
  json.end();
  return {200, json.take(), {}};
}

Route route(Service& service, std::string_view pattern, bool explain, Operation operation) {
  return {.method = "POST",
          .pattern = pattern,
          .body = BodyKind::kJson,
          .operation = operation,
          .open = [&service, explain](const Call& call) {
            return [&service, explain, model = service.model(call.parameter("name"), call.key)](const std::string& body,
                                                                                                Routed::Reply reply) {
              service.require_room(model, reply);
              const auto place = [](size_t i) { return fmt::format("instances[{}]", i); };
              service.predict({.model = model,
                               .texts = read_instances(body, service.limits(model)),
                               .explain = explain,
                               .place = place},
                              std::move(reply), [explain](const Answer& answer) { return write(answer, explain); });
            };
          }};
}

}  // namespace

std::vector<Route> kserve_v1(Service& service) {
  return {route(service, "/v1/models/{name}:predict", false,
                {"KServe V1", "Predicts the label of instances", kRequest, kPredictions}),
          route(service, "/v1/models/{name}:explain", true,
                {"KServe V1", "Predicts, and explains by weights of the texts' parts", kRequest, kExplanations})};
}

}  // namespace qing::serve::protocols
