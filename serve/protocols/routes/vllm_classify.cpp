// vLLM's classification API: POST /v1/classify, or /classify as vLLM's own server has it. Its clients read "probs" in
// the order of the model's label ids. https://docs.vllm.ai/en/stable/models/pooling_models.html, "Classification API".
#include <qing/serve/protocols/protocols.h>

#include <chrono>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/http/request_id.h>
#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/embeddings.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/openai.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kRequest = R"({"type":"object","required":["input"],"additionalProperties":{"type":"null"},
"properties":{"model":{"type":["string","null"]},"input":{"oneOf":[{"type":"string"},
{"type":"array","items":{"type":"string"}}]}}})";
constexpr std::string_view kResponse = R"({"type":"object","required":["id","object","created","model","data","usage"],
"properties":{"id":{"type":"string"},"object":{"const":"list"},"created":{"type":"integer"},"model":{"type":"string"},
"data":{"type":"array","items":{"type":"object","required":["index","label","probs","num_classes"],"properties":{
"index":{"type":"integer"},"label":{"type":"string"},"probs":{"type":"array","items":{"type":"number"}},
"num_classes":{"type":"integer"},"labels":{"type":"array","items":{"type":"string"}}}}},"usage":{"type":"object","required":["prompt_tokens","total_tokens"]}}})";

HttpResponse write(const Answer& answer) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  JsonWriter json;
  json.begin_object().member("id", "classify-" + request_id({})).member("object", "list");
  json.member("created", now.time_since_epoch().count()).member("model", answer.model.name);
  json.key("data").begin_array();
  std::int64_t tokens = 0;
  for (size_t i = 0; i < answer.predictions.size(); ++i) {
    const nn::Prediction& prediction = answer.predictions[i];
    tokens += prediction.tokens;
    json.begin_object().member("index", i);
    json.member("label", answer.labels()[static_cast<size_t>(prediction.label)]);
    json.member("probs", prediction.scores).member("num_classes", answer.labels().size());
    if (answer.model.classifier->problem() == nn::Problem::multi_label) {
      json.key("labels").raw(labels_json(answer.labels(), prediction.labels));
    }
    json.end();
  }
  json.end().key("usage").begin_object().member("prompt_tokens", tokens).member("total_tokens", tokens);
  json.member("completion_tokens", 0).key("prompt_tokens_details").raw("null").end().end();
  return {200, json.take(), {}};
}

// Reads {"model": "...", "input": ["...", ...]}. As in vLLM, "input" may be one string, and "model" may be absent if
// one model is served.
void run(Service& service, const std::string& body, Routed::Reply reply) {
  const json::value parsed = parse_json(body, service.limits());
  const json::object& object = as_object(parsed, R"({"model": "...", "input": ["..."]})");
  check_members(object, "", {"model", "input"});
  const json::value* name = member(object, "model");
  const json::value* input = member(object, "input");
  if (name != nullptr && !name->is_string()) refuse_field("model: must be a string");
  if (input == nullptr) refuse_field("input: is missing");
  const Model model =
      name == nullptr ? service.only_model(reply.key) : service.model(std::string_view(name->get_string()), reply.key);
  service.require_room(model, reply);
  service.predict({.model = model,
                   .texts = one_or_more_texts(*input, "input", service.limits(model)),
                   .place = places_of(*input, "input")},
                  std::move(reply), write);
}

Route route(Service& service, std::string_view pattern) {
  return {.method = "POST",
          .pattern = pattern,
          .body = BodyKind::kJson,
          .operation = {"vLLM", "Classifies texts", kRequest, kResponse},
          .open =
              [&service](const Call&) {
                return
                    [&service](const std::string& body, Routed::Reply reply) { run(service, body, std::move(reply)); };
              },
          .error_form = &kOpenAiErrors};
}

}  // namespace

std::vector<Route> vllm_classify(Service& service) {
  return {route(service, "/v1/classify"), route(service, "/classify")};
}

}  // namespace qing::serve::protocols
