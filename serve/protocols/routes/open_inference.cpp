// The Open Inference Protocol V2, as KServe and Triton speak it, with Triton's binary tensors and repository routes.
#include <qing/serve/protocols/protocols.h>

#include <array>

#include <fmt/format.h>

#include <qing/serve/common/version.h>
#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/v2_tensors.h>
#include <qing/serve/tasks/task.h>

namespace qing::serve::protocols {
namespace {

constexpr std::string_view kTag = "Open Inference V2";
constexpr std::string_view kObject = R"({"type":"object"})";
constexpr std::string_view kInferRequest = R"({"type":"object","required":["inputs"],
"additionalProperties":{"type":"null"},"properties":{"id":{"type":["string","null"]},"model_name":{},
"parameters":{"type":["object","null"],"additionalProperties":{"type":"null"},"properties":{
"explain":{"type":["boolean","null"]},"binary_data_output":{"type":["boolean","null"]},
"content_type":{"enum":["str",null]}}},
"inputs":{"type":"array","minItems":1,"maxItems":1,"items":{"type":"object","required":["name","shape","datatype"],
"additionalProperties":{"type":"null"},"properties":{"name":{"type":"string"},
"shape":{"type":"array","minItems":1,"maxItems":2,"items":{"type":"integer","minimum":0}},
"datatype":{"type":"string","const":"BYTES"},
"parameters":{"type":["object","null"],"additionalProperties":{"type":"null"},"properties":{
"binary_data_size":{"type":["integer","null"],"minimum":0},"content_type":{"enum":["str",null]}}},
"data":{"type":["array","null"],"items":{"type":"string"}}}}},
"outputs":{"type":["array","null"],"items":{"type":"object","required":["name"],
"additionalProperties":{"type":"null"},"properties":{
"name":{"enum":["label","score","scores","logits","labels","value","explanation"]},
"parameters":{"type":["object","null"],"additionalProperties":{"type":"null"},"properties":{
"binary_data":{"type":["boolean","null"]}}}}}}}})";
constexpr std::string_view kIndexRequest = R"({"type":"object","additionalProperties":{"type":"null"},"properties":{
"ready":{"type":["boolean","null"]}}})";
constexpr std::string_view kIndexResponse = R"({"type":"array","items":{"type":"object",
"required":["name","version","state","reason"],"properties":{"name":{"type":"string"},"version":{"type":"string"},
"state":{"enum":["READY","UNAVAILABLE"]},"reason":{"type":"string"}}}})";
constexpr std::string_view kInferResponse = R"({"type":"object","required":["model_name","outputs"],"properties":{
"model_name":{"type":"string"},"model_version":{"type":"string"},"id":{"type":"string"},"outputs":{"type":"array"}}})";

Routed::Run ready(const Service& service, std::string_view member) {
  return [&service, member](const std::string&, const Routed::Reply& reply) {
    if (member == "ready") service.require_ready();
    JsonWriter json;
    json.begin_object().member(member, true).end();
    reply({200, json.take(), {}});
  };
}

Model model_of(const Service& service, const Call& call) {
  return service.any_model(call.parameter("name"), call.key, call.parameter("version"));
}

HttpResponse metadata(const Service& service, const Model& model) {
  JsonWriter json;
  json.begin_object().member("name", model.name);
  json.member("versions", version_texts(service.registry().served_versions(model.name))).member("platform", "qing");
  write_v2_signature(json, *model.served);
  json.end();
  return {200, json.take(), {}};
}

HttpResponse model_ready(const Model& model) {
  JsonWriter json;
  json.begin_object().member("name", model.name).member("ready", true).end();
  return {200, json.take(), {}};
}

HttpResponse server_metadata() {
  constexpr std::array<std::string_view, 2> kExtensions = {"binary_tensor_data", "model_repository"};
  JsonWriter json;
  json.begin_object().member("name", "qing").member("version", kVersion).member("extensions", kExtensions).end();
  return {200, json.take(), {}};
}

// Any Content-Type is accepted: Triton's clients send none, and KServe's send application/octet-stream.
Routed::Run infer(Service& service, const Call& call) {
  require_plain_body(call.head);
  const Model any = model_of(service, call);
  if (!any.classifier) {
    if (const Task* task = find_task(any.served->task())) return task->infer(service, any, call);
  }
  return [&service, model = service.model(call.parameter("name"), call.key, call.parameter("version")),
          length = v2_header_length(call.head)](const std::string& body, Routed::Reply reply) {
    service.require_room(model, reply);
    V2Request request = read_v2(body, length, *model.classifier, service.limits(model));
    Job job{.model = model, .texts = std::move(request.texts), .explain = request.explain, .place = [](size_t i) {
              return fmt::format("inputs[0].data[{}]", i);
            }};
    service.predict(std::move(job), std::move(reply),
                    [request = std::move(request)](const Answer& answer) { return write_v2(request, answer); });
  };
}

HttpResponse index_json(const Service& service, bool only_ready, const std::string& key) {
  const bool may_administer = service.may_administer(key);
  JsonWriter json;
  json.begin_array();
  for (const Registry::Indexed& entry : service.registry().index()) {
    if ((only_ready && !entry.ready) || !service.visible(entry.name, key)) continue;
    json.begin_object().member("name", entry.name).member("version", std::to_string(entry.version));
    json.member("state", entry.ready ? "READY" : "UNAVAILABLE")
        .member("reason", shown_reason(entry.reason, may_administer))
        .end();
  }
  json.end();
  return {200, json.take(), {}};
}

// The body may be empty, as Triton's clients send it.
Routed::Run index(const Service& service) {
  return [&service](const std::string& body, const Routed::Reply& reply) {
    bool only_ready = false;
    if (!body.empty()) {
      const boost::json::value parsed = parse_json(body, service.limits());
      const boost::json::object& object = as_object(parsed, R"({"ready": true})");
      check_members(object, "", {"ready"});
      only_ready = flag_of(object, "", "ready", false);
    }
    reply(index_json(service, only_ready, reply.key));
  };
}

Route get(std::string_view pattern, Scope scope, std::string_view summary,
          std::function<Routed::Run(const Call&)> open) {
  return {.method = "GET",
          .pattern = pattern,
          .scope = scope,
          .operation = {kTag, summary, {}, kObject},
          .open = std::move(open)};
}

Route post(std::string_view pattern, Scope scope, Operation operation, std::function<Routed::Run(const Call&)> open) {
  return {.method = "POST",
          .pattern = pattern,
          .scope = scope,
          .body = BodyKind::kAny,
          .operation = operation,
          .open = std::move(open)};
}

}  // namespace

std::vector<Route> open_inference(Service& service) {
  const auto show = [&service](const Call& call) { return answer(metadata(service, model_of(service, call))); };
  const auto is_ready = [&service](const Call& call) { return answer(model_ready(model_of(service, call))); };
  const auto run = [&service](const Call& call) { return infer(service, call); };
  constexpr Operation kInfer = {kTag, "Predicts the label of texts", kInferRequest, kInferResponse};
  constexpr Operation kIndex = {kTag, "All models, served or not, and why", kIndexRequest, kIndexResponse, kJsonType,
                                true};
  return {
      get("/v2", Scope::kPredict, "The server and its extensions",
          [](const Call&) { return answer(server_metadata()); }),
      get("/v2/health/live", Scope::kOpen, "200 while the process answers",
          [&service](const Call&) { return ready(service, "live"); }),
      get("/v2/health/ready", Scope::kOpen, "200 when there is a model, else 503",
          [&service](const Call&) { return ready(service, "ready"); }),
      get("/v2/models/{name}", Scope::kPredict, "A model's tensors", show),
      get("/v2/models/{name}/versions/{version}", Scope::kPredict, "A model's tensors", show),
      get("/v2/models/{name}/ready", Scope::kPredict, "200 when the model is served", is_ready),
      get("/v2/models/{name}/versions/{version}/ready", Scope::kPredict, "200 when the version is served", is_ready),
      post("/v2/models/{name}/infer", Scope::kPredict, kInfer, run),
      post("/v2/models/{name}/versions/{version}/infer", Scope::kPredict, kInfer, run),
      post("/v2/repository/index", Scope::kPredict, kIndex, [&service](const Call&) { return index(service); })};
}

}  // namespace qing::serve::protocols
