// The classification part of text-embeddings-inference's protocol: /predict, /info, /health. These
// routes work only while one model is served; /info and /health also exist below the addresses of models, where
// huggingface_hub's InferenceClient asks for them.
#include <qing/serve/protocols/protocols.h>

#include <limits>
#include <optional>

#include <fmt/format.h>

#include <qing/serve/batching/batcher.h>
#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/embeddings.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/tei_errors.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kTag = "text-embeddings-inference";
constexpr std::string_view kObject = R"({"type":"object"})";
constexpr std::string_view kRequest = R"({"type":"object","required":["inputs"],
"additionalProperties":{"type":"null"},"properties":{"inputs":{"oneOf":[
{"type":"string"},{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":1},{"type":"array","minItems":1,
"items":{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":1}}]},
"truncate":{"type":["boolean","null"]},"truncation_direction":{"enum":["Right","right",null]},
"raw_scores":{"type":["boolean","null"]}}})";
constexpr std::string_view kResponse = R"({"type":"array"})";

struct Request {
  std::vector<std::string> texts;
  bool batch = false;    // the response is a list of lists
  bool truncate = true;  // false: a text that is too long is refused
  bool raw_scores = false;
};

// Reads a sequence of the protocol, a list of one text. A list of two is a pair to be classified together, which a
// model of single texts cannot do. It is refused instead of being read as two texts.
std::string sequence_of(const json::array& sequence, std::string_view field, const Limits& limits) {
  if (sequence.size() == 2) {
    refuse_field(
        fmt::format("{}: two strings in one list are a pair, and this model takes single texts; send two texts "
                    R"(as [["first"], ["second"]])",
                    field));
  }
  if (sequence.size() != 1) {
    refuse_field(fmt::format("{}: a list of {} strings; each text is a list of one string", field, sequence.size()));
  }
  return text_of(sequence.front(), fmt::format("{}[0]", field), limits);
}

void read_inputs(const json::value& inputs, Request& request, const Limits& limits) {
  const json::array* list = inputs.if_array();
  if (list == nullptr) {
    request.texts.push_back(text_of(inputs, "inputs", limits));
    return;
  }
  if (list->empty()) refuse_field("inputs: is empty");
  if (list->front().is_string()) {
    request.texts.push_back(sequence_of(*list, "inputs", limits));
    return;
  }
  request.batch = true;
  check_count(list->size(), "inputs", limits);
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string field = fmt::format("inputs[{}]", i);
    const json::array* sequence = (*list)[i].if_array();
    if (sequence == nullptr) refuse_field(field + ": must be a list of one string, as the first of inputs is");
    request.texts.push_back(sequence_of(*sequence, field, limits));
  }
}

Request read(const std::string& body, const Limits& limits) {
  const json::value parsed = parse_json(body, limits);
  const json::object& object = as_object(parsed, R"({"inputs": "..."})");
  check_members(object, "", {"inputs", "truncate", "truncation_direction", "raw_scores"});
  const json::value* inputs = member(object, "inputs");
  if (inputs == nullptr) refuse_field("inputs: is missing");
  Request request;
  read_inputs(*inputs, request, limits);
  request.truncate = read_truncation(object, "");
  request.raw_scores = flag_of(object, "", "raw_scores", false);
  return request;
}

HttpResponse write(const Answer& answer, const Request& request) {
  require_whole(answer, request.truncate);
  JsonWriter json;
  if (request.batch) json.begin_array();
  for (size_t i = 0; i < answer.predictions.size(); ++i) {
    const nn::Prediction& prediction = answer.predictions[i];
    write_ranking(json, request.raw_scores ? prediction.logits : prediction.scores, answer.labels(),
                  std::numeric_limits<size_t>::max());
  }
  if (request.batch) json.end();
  return {200, json.take(), {}};
}

void run(Service& service, const std::string& body, Routed::Reply reply) {
  const Model model = service.only_model(reply.key);
  service.require_room(model, reply);
  Request request = read(body, service.limits(model));
  std::vector<std::string> texts = std::move(request.texts);
  const auto place = [batch = request.batch](size_t i) { return batch ? fmt::format("inputs[{}]", i) : "inputs"; };
  service.predict({.model = model, .texts = std::move(texts), .place = place}, std::move(reply),
                  [request = std::move(request)](const Answer& answer) { return write(answer, request); });
}

std::string_view dtype_name(DType precision) {
  return precision == DType::bf16 ? "bfloat16" : precision == DType::i8 ? "int8" : "float32";
}

void write_model_type(JsonWriter& json, const nn::TextClassifier& classifier) {
  json.begin_object();
  if (const nn::EmbeddingInfo embedding = classifier.embedding(); embedding.size > 0) {
    json.key("embedding").begin_object().member("pooling", embedding.pooling).end().end();
    return;
  }
  const std::vector<std::string>& labels = classifier.labels();
  json.key("classifier").begin_object().key("id2label").begin_object();
  for (size_t i = 0; i < labels.size(); ++i) json.member(std::to_string(i), labels[i]);
  json.end().key("label2id").begin_object();
  for (size_t i = 0; i < labels.size(); ++i) json.member(labels[i], i);
  json.end().end().end();
}

std::string info_json(const Service& service, const Model& model) {
  const Limits limits = service.limits(model);
  JsonWriter json;
  json.begin_object().member("model_id", model.name).key("model_sha").raw("null");
  json.member("model_dtype", dtype_name(model.classifier->precision()));
  json.key("model_type");
  write_model_type(json, *model.classifier);
  json.member("max_concurrent_requests", limits.connections);
  json.member("max_input_length", model.classifier->max_length()).member("max_batch_tokens", limits.batch_tokens);
  json.member("max_batch_requests", limits.batch_texts).member("max_client_batch_size", limits.texts);
  json.member("auto_truncate", true).member("tokenization_workers", compute_workers(limits));
  json.member("version", std::to_string(model.version)).key("sha").raw("null").key("docker_label").raw("null").end();
  return json.take();
}

Route predict_route(Service& service) {
  return {.method = "POST",
          .pattern = "/predict",
          .body = BodyKind::kJson,
          .operation = {kTag, "Classifies texts with the only model", kRequest, kResponse},
          .open =
              [&service](const Call&) {
                return
                    [&service](const std::string& body, Routed::Reply reply) { run(service, body, std::move(reply)); };
              },
          .error_form = &kTeiErrors};
}

Route info_route(Service& service, std::string_view pattern, std::string_view summary) {
  return {.method = "GET",
          .pattern = pattern,
          .operation = {kTag, summary, {}, kObject},
          .open =
              [&service](const Call& call) {
                const std::string_view name = call.parameter("name");
                const Model model = name.empty() ? service.only_model(call.key) : service.model(name, call.key);
                return answer({200, info_json(service, model), {}});
              },
          .error_form = &kTeiErrors};
}

// The readiness of the server needs no key. The names of models do.
Route health_route(Service& service, std::string_view pattern, std::string_view summary) {
  const bool of_server = pattern.find('{') == pattern.npos;
  return {.method = "GET",
          .pattern = pattern,
          .scope = of_server ? Scope::kOpen : Scope::kPredict,
          .operation = {kTag, summary, {}, kObject},
          .open =
              [&service, of_server](const Call& call) {
                service.require_ready();
                if (!of_server) service.model(call.parameter("name"), call.key);
                return answer({200, R"({"status":"ok"})", {}});
              },
          .error_form = &kTeiErrors};
}

}  // namespace

std::vector<Route> text_embeddings_inference(Service& service) {
  constexpr std::string_view kInfo = "A model and its limits", kHealth = "200 when the model is served";
  return {predict_route(service),
          info_route(service, "/info", "The only model and its limits"),
          info_route(service, "/models/{name}/info", kInfo),
          info_route(service, "/v1/models/{name}/info", kInfo),
          health_route(service, "/health", "200 when ready, as /health/ready"),
          health_route(service, "/models/{name}/health", kHealth),
          health_route(service, "/v1/models/{name}/health", kHealth)};
}

}  // namespace qing::serve::protocols
