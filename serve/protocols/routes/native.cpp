// The service's own protocol, below /v1/models.
#include <qing/serve/protocols/protocols.h>

#include <qing/nn/models/image_classifier.h>
#include <qing/serve/common/picture_limits.h>
#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/tasks/task.h>

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
"labels":{"type":"array","items":{"type":"string"}},"value":{"type":"number"},
"blank":{"type":"boolean"},"explanation":{"type":"object"}}}}}})";
constexpr std::string_view kModels = R"({"type":"object","required":["models","object","data"],
"properties":{"models":{"type":"array","items":{"type":"object"}},"object":{"const":"list"},
"data":{"type":"array","items":{"type":"object","required":["id","object","created","owned_by"],"properties":{
"id":{"type":"string"},"object":{"const":"model"},"created":{"type":"integer"},"owned_by":{"type":"string"}}}}}})";

// Reads {"texts": ["...", ...]} or {"text": "..."}, with an optional "explain".
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
    job.place = [](size_t) { return std::string("text"); };
  }
  return job;
}

HttpResponse predictions_response(const Answer& answer) {
  JsonWriter json;
  json.begin_object().member("model", answer.model.name).member("version", std::to_string(answer.model.version));
  json.key("predictions").begin_array();
  for (size_t i = 0; i < answer.predictions.size(); ++i) write_prediction(json, answer, i);
  json.end().end();
  return {200, json.take(), {}};
}

// The members by which OpenAI's clients know a model.
void write_openai_members(JsonWriter& json, const Service& service, const Model& model) {
  json.member("id", model.name).member("object", "model").member("created", model.loaded);
  json.member("owned_by", service.owner(model.name).value_or("qing"));
}

// Clients of KServe's first protocol read "ready". "error" tells why another version could not replace this one.
void write_members(JsonWriter& json, const Service& service, const Model& model, bool may_administer) {
  json.member("name", model.name).member("ready", true).member("version", std::to_string(model.version));
  json.member("versions", version_texts(model.versions));
  json.member("served_versions", version_texts(service.registry().served_versions(model.name)));
  json.member("task", model.served->task()).member("labels", model.served->labels());
  if (model.classifier && model.classifier->problem() != nn::Problem::single_label) {
    json.member("problem", name_of(model.classifier->problem()));
  }
  if (const Task* task = model.classifier ? nullptr : find_task(model.served->task())) {
    task->describe(*model.served, json);
  }
  if (model.previous != 0) json.member("previous", std::to_string(model.previous));
  write_trial(json, model);
  if (!model.error.empty()) json.member("error", shown_reason(model.error, may_administer));
  if (model.classifier) {
    json.member("ngrams", model.classifier->has_ngrams()).member("explains", model.classifier->explains());
    if (const auto size = model.classifier->embedding().size; size > 0) json.member("embedding_size", size);
  }
  const Limits limits = service.limits(model);
  json.key("limits").begin_object().member("texts", limits.texts).member("explained_texts", limits.explained_texts);
  json.member("text_bytes", limits.text_bytes).member("body_bytes", limits.body_bytes);
  if (model.served->task() == nn::kImage) json.member("images", kMostPictures);
  json.end();
}

HttpResponse model_response(const Service& service, const Model& model, bool may_administer) {
  JsonWriter json;
  json.begin_object();
  write_members(json, service, model, may_administer);
  write_openai_members(json, service, model);
  json.end();
  return {200, json.take(), {}};
}

HttpResponse list_models(const Service& service, const std::string& key) {
  const bool may_administer = service.may_administer(key);
  const std::vector<Model> models = service.models(key);
  JsonWriter json;
  json.begin_object().key("models").begin_array();
  for (const Model& model : models) {
    json.begin_object();
    write_members(json, service, model, may_administer);
    json.end();
  }
  json.end().member("object", "list").key("data").begin_array();
  for (const Model& model : models) {
    json.begin_object();
    write_openai_members(json, service, model);
    json.end();
  }
  json.end().end();
  return {200, json.take(), {}};
}

Routed::Run show_model(Service& service, const Call& call) {
  return [&service, model = service.any_model(call.parameter("name"), call.key, call.parameter("version"))](
             const std::string&, const Routed::Reply& reply) {
    reply(model_response(service, model, service.may_administer(reply.key)));
  };
}

// The body is JSON, unless the model is of a task that takes others, such as pictures.
Routed::Run predict(Service& service, const Call& call) {
  const std::string_view name = call.parameter("name"), version = call.parameter("version");
  const Model any = service.any_model(name, call.key, version);  // first: other answers would tell of a hidden model
  if (any.classifier) require_json_body(call.head);
  if (const Task* task = any.classifier ? nullptr : find_task(any.served->task())) {
    if (Routed::Run answered = task->answer(service, any, call)) return answered;
  }
  return [&service, model = service.model(name, call.key, version)](const std::string& body, Routed::Reply reply) {
    service.require_room(model, reply);
    service.predict(read_job(model, body, service.limits(model)), std::move(reply), predictions_response);
  };
}

}  // namespace

std::vector<Route> native(Service& service) {
  return {{.method = "GET",
           .pattern = "/v1/models",
           .operation = {"native", "All models", {}, kModels},
           .open =
               [&service](const Call&) {
                 return [&service](const std::string&, const Routed::Reply& reply) {
                   reply(list_models(service, reply.key));
                 };
               }},
          {.method = "GET",
           .pattern = "/v1/models/{name}",
           .operation = {"native", "A model: labels, versions and limits", {}, R"({"type":"object"})"},
           .open = [&service](const Call& call) { return show_model(service, call); }},
          {.method = "GET",
           .pattern = "/v1/models/{name}/versions/{version}",
           .operation = {"native", "A served version of a model", {}, R"({"type":"object"})"},
           .open = [&service](const Call& call) { return show_model(service, call); }},
          {.method = "POST",
           .pattern = "/v1/models/{name}/predict",
           .body = BodyKind::kAny,
           .operation = {"native", "Predicts the label of texts", kPredictRequest, kPredictResponse},
           .open = [&service](const Call& call) { return predict(service, call); }},
          {.method = "POST",
           .pattern = "/v1/models/{name}/versions/{version}/predict",
           .body = BodyKind::kAny,
           .operation = {"native", "The same by a served version", kPredictRequest, kPredictResponse},
           .open = [&service](const Call& call) { return predict(service, call); }}};
}

}  // namespace qing::serve::protocols
