// OpenAI's embeddings: POST /v1/embeddings. https://platform.openai.com/docs/api-reference/embeddings
#include <qing/nn/base64.h>
#include <qing/serve/protocols/protocols.h>

#include <bit>

#include <fmt/format.h>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/protocols/embeddings.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/openai.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kRequest = R"({"type":"object","required":["model","input"],
"additionalProperties":{"type":"null"},"properties":{"model":{"type":"string"},"input":{"oneOf":[{"type":"string"},
{"type":"array","items":{"type":"string"}}]},"encoding_format":{"enum":["float","base64",null]}}})";
// The model stands in the path.
constexpr std::string_view kNamedRequest = R"({"type":"object","required":["input"],
"additionalProperties":{"type":"null"},"properties":{"model":{"type":["string","null"]},"input":{"oneOf":[
{"type":"string"},{"type":"array","items":{"type":"string"}}]},"encoding_format":{"enum":["float","base64",null]}}})";
constexpr std::string_view kResponse = R"({"type":"object","required":["object","data","model","usage"],"properties":{
"object":{"const":"list"},"data":{"type":"array","items":{"type":"object","required":["object","index","embedding"],
"properties":{"object":{"const":"embedding"},"index":{"type":"integer"},"embedding":{"oneOf":[
{"type":"array","items":{"type":"number"}},{"type":"string"}]}}}},"model":{"type":"string"},
"usage":{"type":"object","required":["prompt_tokens","total_tokens"]}}})";

static_assert(std::endian::native == std::endian::little,
              "base64 must hold little-endian f32, and the bytes of the vector are encoded as they are");

HttpResponse write(const Answer& answer, bool as_base64) {
  JsonWriter writer;
  writer.begin_object().member("object", "list").key("data").begin_array();
  std::int64_t tokens = 0;
  for (size_t i = 0; i < answer.predictions.size(); ++i) {
    tokens += answer.predictions[i].tokens;
    const std::vector<float> vector = embedding_of(answer, i);
    writer.begin_object().member("object", "embedding").member("index", i).key("embedding");
    if (as_base64) {
      writer.value(nn::encode_base64({reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)}));
    } else {
      writer.value(vector);
    }
    writer.end();
  }
  writer.end().member("model", answer.model.name).key("usage").begin_object();
  writer.member("prompt_tokens", tokens).member("total_tokens", tokens).end().end();
  return {200, writer.take(), {}};
}

bool wants_base64(const json::object& object) {
  const json::value* format = member(object, "encoding_format");
  if (format == nullptr || *format == "float") return false;
  if (*format != "base64") refuse_field("encoding_format: must be float or base64");
  return true;
}

// `named` is the model that the path names; null: the member "model" names it.
void run(Service& service, const Model* named, std::string_view path_name, const std::string& body,
         Routed::Reply reply) {
  const json::value parsed = parse_json(body, service.limits());
  const json::object& object = as_object(parsed, R"({"model": "...", "input": ["..."]})");
  check_members(object, "", {"model", "input", "encoding_format"});
  const json::value* name = member(object, "model");
  const json::value* input = member(object, "input");
  if (name == nullptr ? named == nullptr : !name->is_string()) refuse_field("model: must be a string");
  if (named != nullptr && name != nullptr && std::string_view(name->get_string()) != path_name) {
    refuse_field("model: is another one than the path names; leave it out");
  }
  if (input == nullptr) refuse_field("input: is missing");
  const Model model = named != nullptr ? *named : service.model(std::string_view(name->get_string()), reply.key);
  service.require_room(model, reply);
  const bool as_base64 = wants_base64(object);
  Job job{.model = model,
          .texts = one_or_more_texts(*input, "input", service.limits(model)),
          .explain = false,
          .embed = true,
          .place = places_of(*input, "input")};
  service.predict(std::move(job), std::move(reply),
                  [as_base64](const Answer& answer) { return write(answer, as_base64); });
}

Route route(Service& service, std::string_view pattern, std::string_view summary, std::string_view request) {
  return {.method = "POST",
          .pattern = pattern,
          .body = BodyKind::kJson,
          .operation = {"OpenAI", summary, request, kResponse},
          .open = [&service](const Call& call) -> Routed::Run {
            const std::string name(call.parameter("name"));
            if (name.empty()) {
              return [&service](const std::string& body, Routed::Reply reply) {
                run(service, nullptr, {}, body, std::move(reply));
              };
            }
            return [&service, name, model = service.model(name, call.key, call.parameter("version"))](
                       const std::string& body, Routed::Reply reply) {
              run(service, &model, name, body, std::move(reply));
            };
          },
          .error_form = &kOpenAiErrors};
}

}  // namespace

std::vector<Route> openai_embeddings(Service& service) {
  return {
      route(service, "/v1/embeddings", "Embeds texts", kRequest),
      route(service, "/v1/models/{name}/embeddings", "Embeds texts by a model", kNamedRequest),
      route(service, "/v1/models/{name}/versions/{version}/embeddings", "The same by a served version", kNamedRequest)};
}

}  // namespace qing::serve::protocols
