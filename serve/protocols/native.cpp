// The service's own protocol, below /v1/models.
#include "protocols.h"

#include <fmt/format.h>

#include <qing/serve/common/json_text.h>
#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kPredictRequest = R"({"type":"object","additionalProperties":{"type":"null"},"properties":{
"text":{"type":["string","null"]},"texts":{"type":["array","null"],"items":{"type":"string"}},
"explain":{"type":["boolean","null"]}},"oneOf":[
{"required":["text"],"properties":{"text":{"type":"string"},"texts":{"type":"null"}}},
{"required":["texts"],"properties":{"texts":{"type":"array"},"text":{"type":"null"}}}]})";
constexpr std::string_view kPredictResponse = R"({"type":"object",
"required":["model","version","predictions"],"properties":{
"model":{"type":"string"},"version":{"type":"string"},"predictions":{"type":"array","items":{"type":"object",
"required":["label","score","scores","truncated"],"properties":{"label":{"type":"string"},"score":{"type":"number"},
"scores":{"type":"object","additionalProperties":{"type":"number"}},"truncated":{"type":"boolean"},
"blank":{"type":"boolean"},"explanation":{"type":"object"}}}}}})";
constexpr std::string_view kModels = R"({"type":"object","required":["models","object","data"],
"properties":{"models":{"type":"array","items":{"type":"object"}},"object":{"const":"list"},
"data":{"type":"array","items":{"type":"object","required":["id","object","created","owned_by"],"properties":{
"id":{"type":"string"},"object":{"const":"model"},"created":{"type":"integer"},"owned_by":{"type":"string"}}}}}})";

// {"texts": ["...", ...]} or {"text": "..."}, and perhaps "explain": true.
Job read_job(Model model, const std::string& body, const Limits& limits) {
  const json::value parsed = parse_json(body, limits);
  const json::object& object = as_object(parsed, R"({"texts": ["..."]})");
  check_members(object, "", {"texts", "text", "explain"});
  const json::value* one = member(object, "text");
  const json::value* many = member(object, "texts");
  if ((one == nullptr) == (many == nullptr)) {
    refuse_field("texts: give either texts: a list of strings, or text: a string");
  }
  Job job{std::move(model), {}, flag_of(object, "", "explain", false)};
  if (many != nullptr) {
    job.texts = texts_of(*many, "texts", limits);
  } else {
    job.texts.push_back(text_of(*one, "text", limits));
  }
  return job;
}

HttpResponse predictions_response(const Answer& answer) {
  std::string body = fmt::format(R"({{"model":{},"version":"{}","predictions":[)", json_quoted(answer.model.name),
                                 answer.model.version);
  for (std::size_t i = 0; i < answer.predictions.size(); ++i) {
    if (i > 0) body += ',';
    body += prediction_json(answer, i);
  }
  return {200, body + "]}", {}};
}

// A model as OpenAI's clients read it: members of an object.
std::string openai_members(const Model& model) {
  return fmt::format(R"("id":{},"object":"model","created":{},"owned_by":"qing")", json_quoted(model.name),
                     model.loaded);
}

// "ready" is what clients of KServe's first protocol look for. "error" is of a version that did not replace this one.
std::string model_members(const Service& service, const Model& model) {
  std::string more;
  if (model.previous != 0) more += fmt::format(R"(,"previous":"{}")", model.previous);
  more += trial_member(model);
  if (!model.error.empty()) more += R"(,"error":)" + json_quoted(model.error);
  more += fmt::format(R"(,"ngrams":{})", model.classifier->has_ngrams());
  const Limits limits = service.limits(model);
  more += fmt::format(R"(,"limits":{{"texts":{},"explained_texts":{},"text_bytes":{},"body_bytes":{}}})", limits.texts,
                      limits.explained_texts, limits.text_bytes, limits.body_bytes);
  return fmt::format(R"("name":{},"ready":true,"version":"{}","versions":["{}"],"labels":{}{})",
                     json_quoted(model.name), model.version, fmt::join(model.versions, "\",\""),
                     json_list(model.classifier->labels()), more);
}

HttpResponse list_models(const Service& service) {
  std::string list, data;
  for (const Model& model : service.models()) {
    const char* const comma = list.empty() ? "" : ",";
    list += comma + ("{" + model_members(service, model) + "}");
    data += comma + ("{" + openai_members(model) + "}");
  }
  return {200, R"({"models":[)" + list + R"(],"object":"list","data":[)" + data + "]}", {}};
}

Routed::Run predict(Service& service, const Call& call) {
  return [&service, model = service.model(call.parameter("name"))](const std::string& body, Routed::Reply reply) {
    service.require_room(model, reply.key);
    service.predict(read_job(model, body, service.limits(model)), std::move(reply), predictions_response);
  };
}

}  // namespace

std::vector<Route> native(Service& service) {
  return {{.method = "GET",
           .pattern = "/v1/models",
           .operation = {"native", "All models", {}, kModels},
           .open = [&service](const Call&) { return answer(list_models(service)); }},
          {.method = "GET",
           .pattern = "/v1/models/{name}",
           .operation = {"native", "A model: labels, versions and limits", {}, R"({"type":"object"})"},
           .open =
               [&service](const Call& call) {
                 const Model model = service.model(call.parameter("name"));
                 return answer({200, "{" + model_members(service, model) + "," + openai_members(model) + "}", {}});
               }},
          {.method = "POST",
           .pattern = "/v1/models/{name}/predict",
           .body = BodyKind::kJson,
           .operation = {"native", "Predicts the label of texts", kPredictRequest, kPredictResponse},
           .open = [&service](const Call& call) { return predict(service, call); }}};
}

}  // namespace qing::serve::protocols
