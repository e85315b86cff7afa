// What huggingface_hub's InferenceClient sends to the address it was given, of the server or of a model:
// text_classification {"inputs": "..."}, and to a model of embeddings feature_extraction {"inputs": "..."} and
// sentence_similarity {"inputs": {"source_sentence": "...", "sentences": ["..."]}}. text_classification takes the first
// of a list of lists, so that one text is answered with a nested list.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/embeddings.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kRequest =
    R"({"type":"object","required":["inputs"],"additionalProperties":{"type":"null"},"properties":{
"inputs":{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},
"parameters":{"type":["object","null"],"additionalProperties":{"type":"null"},"properties":{"top_k":{"type":["integer","null"],"minimum":1,"maximum":1000000000},
"function_to_apply":{"enum":["softmax","sigmoid","none",null]}}}}})";
constexpr std::string_view kResponse = R"({"type":"array","items":{"type":"array","items":{"type":"object",
"required":["label","score"],"properties":{"label":{"type":"string"},"score":{"type":"number"}}}}})";

constexpr std::int64_t kMostTopK = 1'000'000'000;  // as kRequest says

enum class Function { kOwn, kSoftmax, kSigmoid, kNone };

struct Request {
  std::vector<std::string> texts;
  TextPlace place = {};
  size_t top_k = std::numeric_limits<size_t>::max();
  Function function = Function::kOwn;  // that of the model's problem, as the pipelines of transformers have it
};

Function function_of(const json::value& value) {
  const json::string* name = value.if_string();
  if (name != nullptr && *name == "softmax") return Function::kSoftmax;
  if (name != nullptr && *name == "sigmoid") return Function::kSigmoid;
  if (name != nullptr && *name == "none") return Function::kNone;
  refuse_field("parameters.function_to_apply: must be softmax, sigmoid or none");
}

Request read(const json::object& object, const Limits& limits) {
  check_members(object, "", {"inputs", "parameters"});
  const json::value* inputs = member(object, "inputs");
  if (inputs == nullptr) refuse_field("inputs: is missing");
  Request request;
  request.texts = one_or_more_texts(*inputs, "inputs", limits);
  request.place = places_of(*inputs, "inputs");
  const json::value* parameters = member(object, "parameters");
  if (parameters == nullptr) return request;
  if (!parameters->is_object()) refuse_field("parameters: must be an object");
  const json::object& options = parameters->get_object();
  check_members(options, "parameters", {"top_k", "function_to_apply"});
  if (const json::value* top_k = member(options, "top_k")) {
    const auto number = integer_of(*top_k);
    if (!number || *number < 1 || *number > kMostTopK) {
      refuse_field(fmt::format("parameters.top_k: must be a whole number from 1 to {}", kMostTopK));
    }
    request.top_k = static_cast<size_t>(*number);
  }
  if (const json::value* function = member(options, "function_to_apply")) request.function = function_of(*function);
  return request;
}

std::vector<float> scores_of(const nn::Prediction& prediction, Function function, nn::Problem problem) {
  const bool softmax = problem == nn::Problem::single_label || problem == nn::Problem::ordinal;
  if (function == Function::kOwn || (function == Function::kSoftmax && softmax)) return prediction.scores;
  std::vector<float> scores = prediction.logits;
  if (function == Function::kSoftmax) {
    const float top = *std::ranges::max_element(scores);
    float sum = 0;
    for (float& score : scores) sum += score = std::exp(score - top);
    for (float& score : scores) score /= sum;
  }
  if (function == Function::kSigmoid) {
    for (float& score : scores) score = 1 / (1 + std::exp(-score));
  }
  return scores;
}

void classify(Service& service, const Model& model, const json::object& object, Routed::Reply reply) {
  Request request = read(object, service.limits(model));
  service.predict({.model = model, .texts = std::move(request.texts), .place = std::move(request.place)},
                  std::move(reply), [top_k = request.top_k, function = request.function](const Answer& answer) {
                    JsonWriter json;
                    json.begin_array();
                    for (const nn::Prediction& prediction : answer.predictions) {
                      write_ranking(json, scores_of(prediction, function, answer.model.classifier->problem()),
                                    answer.labels(), top_k);
                    }
                    json.end();
                    return HttpResponse{200, json.take(), {}};
                  });
}

// The task follows from the kind of model and, for embeddings, from the form of "inputs".
void run(Service& service, const Model& model, const std::string& body, Routed::Reply reply) {
  service.require_room(model, reply);
  const Limits limits = service.limits(model);
  const json::value parsed = parse_json(body, limits);
  const json::object& object = as_object(parsed, R"({"inputs": "..."})");
  if (!model.classifier->embeds()) return classify(service, model, object, std::move(reply));
  if (asks_similarity(object)) return answer_similarity(service, model, object, std::move(reply));
  answer_embed(service, model, read_embed(object, limits), std::move(reply));
}

Route route(Service& service, std::string_view pattern, std::string_view summary) {
  return {.method = "POST",
          .pattern = pattern,
          .body = BodyKind::kJson,
          .operation = {"Hugging Face", summary, kRequest, kResponse},
          .open = [&service](const Call& call) {
            const std::string_view name = call.parameter("name");
            return [&service, model = name.empty() ? service.only_model(call.key) : service.model(name, call.key)](
                       const std::string& body, Routed::Reply reply) { run(service, model, body, std::move(reply)); };
          }};
}

}  // namespace

std::vector<Route> hugging_face(Service& service) {
  return {route(service, "/", "text_classification with the only model"),
          route(service, "/models/{name}", "text_classification"),
          route(service, "/v1/models/{name}", "text_classification, at the model's own address")};
}

}  // namespace qing::serve::protocols
