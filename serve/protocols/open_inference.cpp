// The Open Inference Protocol V2, as KServe and Triton speak it, with Triton's binary tensors and repository routes.
#include "protocols.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/v2_tensors.h>
#include <qing/serve/version.h>

namespace qing::serve::protocols {
namespace {

constexpr std::string_view kTag = "Open Inference V2";
constexpr std::string_view kObject = R"({"type":"object"})";
constexpr std::string_view kInferRequest = R"({"type":"object","required":["inputs"],"properties":{
"id":{"type":"string"},"parameters":{"type":["object","null"]},
"inputs":{"type":"array","minItems":1,"maxItems":1,"items":{
"type":"object","required":["name","shape","datatype"],"properties":{"name":{"type":"string"},
"shape":{"type":"array","minItems":1,"maxItems":2,"items":{"type":"integer","minimum":0}},
"datatype":{"type":"string","const":"BYTES"},"parameters":{"type":["object","null"]},
"data":{"type":"array","items":{"type":"string"}}}}},
"outputs":{"type":"array","items":{"type":"object","required":["name"],"properties":{
"name":{"enum":["label","score","scores","logits","explanation"]},"parameters":{"type":["object","null"]}}}}}})";
constexpr std::string_view kInferResponse = R"({"type":"object","required":["model_name","outputs"],"properties":{
"model_name":{"type":"string"},"model_version":{"type":"string"},"id":{"type":"string"},"outputs":{"type":"array"}}})";

Routed::Run ready(const Service& service, std::string_view member) {
  return [&service, member](const std::string&, const Routed::Reply& reply) {
    if (member == "ready") service.require_ready();
    reply({200, fmt::format(R"({{"{}":true}})", member), {}});
  };
}

Model model_of(const Service& service, const Call& call) {
  return service.model(call.parameter("name"), call.parameter("version"));
}

HttpResponse metadata(const Model& model) {
  return {200,
          fmt::format(R"({{"name":{},"versions":["{}"],"platform":"qing",{}}})", json_quoted(model.name),
                      fmt::join(model.versions, "\",\""), v2_signature(model.classifier->labels().size())),
          {}};
}

std::optional<std::size_t> header_length_of(const HttpHead& head) {
  const std::string_view text = head.header("Inference-Header-Content-Length");
  if (text.empty()) return std::nullopt;
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Refusal(error_response(400, "malformed_header", "Inference-Header-Content-Length: not a plain number"));
  }
  return length;
}

// Of any Content-Type or none: Triton's clients send none, KServe's application/octet-stream with binary parts.
Routed::Run infer(Service& service, const Call& call) {
  require_plain_body(call.head);
  return [&service, model = model_of(service, call), length = header_length_of(call.head)](const std::string& body,
                                                                                           Routed::Reply reply) {
    service.require_room(model, reply.key);
    V2Request request = read_v2(body, length, service.limits(model));
    Job job{model, std::move(request.texts), request.explain};
    service.predict(std::move(job), std::move(reply),
                    [request = std::move(request)](const Answer& answer) { return write_v2(request, answer); });
  };
}

// The body may be empty or {"ready": true}; only models that are ready are served at all.
Routed::Run index(const Service& service) {
  std::string list;
  for (const Model& model : service.models()) {
    list += fmt::format(R"({}{{"name":{},"version":"{}","state":"READY","reason":""}})", list.empty() ? "" : ",",
                        json_quoted(model.name), model.version);
  }
  return answer({200, "[" + list + "]", {}});
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
  const auto show = [&service](const Call& call) { return answer(metadata(model_of(service, call))); };
  const auto is_ready = [&service](const Call& call) {
    return answer({200, fmt::format(R"({{"name":{},"ready":true}})", json_quoted(model_of(service, call).name)), {}});
  };
  const auto run = [&service](const Call& call) { return infer(service, call); };
  constexpr Operation kInfer = {kTag, "Predicts the label of texts", kInferRequest, kInferResponse};
  return {
      get("/v2", Scope::kPredict, "The server and its extensions",
          [](const Call&) {
            constexpr std::string_view kExtensions = R"(["binary_tensor_data","model_repository"])";
            return answer(
                {200, fmt::format(R"({{"name":"qing","version":"{}","extensions":{}}})", kVersion, kExtensions), {}});
          }),
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
      post("/v2/repository/index", Scope::kPredict, {kTag, "All models", {}, R"({"type":"array"})"},
           [&service](const Call&) { return index(service); })};
}

}  // namespace qing::serve::protocols
