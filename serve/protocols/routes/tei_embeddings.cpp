// The embedding part of text-embeddings-inference's protocol: /embed, /similarity, /tokenize and /decode. The model is
// the only one. https://huggingface.github.io/text-embeddings-inference
#include <qing/serve/protocols/protocols.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/text/tokenizer.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/protocols/embeddings.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/tei_errors.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kTag = "text-embeddings-inference";
constexpr std::string_view kVectors = R"({"type":"array","items":{"type":"array","items":{"type":"number"}}})";
constexpr std::string_view kEmbed = R"({"type":"object","required":["inputs"],"additionalProperties":{"type":"null"},
"properties":{"inputs":{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},
"normalize":{"type":["boolean","null"]},"truncate":{"type":["boolean","null"]},
"truncation_direction":{"enum":["Right","right",null]}}})";
constexpr std::string_view kSimilarity = R"({"type":"object","required":["inputs"],
"additionalProperties":{"type":"null"},"properties":{"inputs":{"type":"object",
"required":["source_sentence","sentences"],"additionalProperties":{"type":"null"},"properties":{
"source_sentence":{"type":"string"},"sentences":{"type":"array","minItems":1,"items":{"type":"string"}}}},
"parameters":{"type":["object","null"],"additionalProperties":{"type":"null"},"properties":{
"truncate":{"type":["boolean","null"]},"truncation_direction":{"enum":["Right","right",null]}}}}})";
constexpr std::string_view kTokenize = R"({"type":"object","required":["inputs"],
"additionalProperties":{"type":"null"},"properties":{"inputs":{"oneOf":[{"type":"string"},
{"type":"array","items":{"type":"string"}}]},"add_special_tokens":{"type":["boolean","null"]}}})";
constexpr std::string_view kTokens = R"({"type":"array","items":{"type":"array","items":{"type":"object",
"required":["id","text","special","start","stop"],"properties":{"id":{"type":"integer"},"text":{"type":"string"},
"special":{"type":"boolean"},"start":{"type":["integer","null"]},"stop":{"type":["integer","null"]}}}}})";
constexpr std::string_view kDecode = R"({"type":"object","required":["ids"],"additionalProperties":{"type":"null"},
"properties":{"ids":{"oneOf":[{"type":"array","items":{"type":"integer","minimum":0,"maximum":2147483647}},
{"type":"array","minItems":1,"items":{"type":"array","items":{"type":"integer","minimum":0,"maximum":2147483647}}}]},
"skip_special_tokens":{"type":["boolean","null"]}}})";
constexpr std::string_view kStrings = R"({"type":"array","items":{"type":"string"}})";

using Handler = void (*)(Service&, const Model&, const json::object&, Routed::Reply);

void embed(Service& service, const Model& model, const json::object& object, Routed::Reply reply) {
  EmbedRequest request = read_embed(object, service.limits(model));
  request.normalize = request.normalize.value_or(true);  // the protocol's default, whatever the model's modules are
  answer_embed(service, model, std::move(request), std::move(reply));
}

const nn::Tokenizer& tokenizer_of(const Model& model) {
  const nn::Tokenizer* tokenizer = model.classifier->tokenizer();
  if (tokenizer == nullptr) {
    throw Refusal(error_response(422, "unacceptable_model", "this model has no tokenizer to ask"));
  }
  return *tokenizer;
}

// Positions count Unicode characters. Only the tokens around the text are special: "[MASK]" in the text is text.
void write_tokens(JsonWriter& writer, const nn::Tokenizer& tokenizer, const nn::EncodedText& encoding,
                  std::string_view text, bool with_special) {
  writer.begin_array();
  const auto characters = nn::character_offsets(text, encoding.offsets);
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const bool special = (i == 0 || i + 1 == encoding.ids.size()) &&
                         encoding.offsets[i] == std::pair<std::uint32_t, std::uint32_t>(0, 0);
    if (special && !with_special) continue;
    writer.begin_object().member("id", encoding.ids[i]);
    if (special) {
      writer.member("text", tokenizer.token(encoding.ids[i])).member("special", true);
      writer.key("start").raw("null").key("stop").raw("null").end();
      continue;
    }
    const auto [begin, end] = encoding.offsets[i];
    writer.member("text", text.substr(begin, end - begin)).member("special", false);
    writer.member("start", characters[i].first).member("stop", characters[i].second).end();
  }
  writer.end();
}

void tokenize(Service& service, const Model& model, const json::object& object, Routed::Reply reply) {
  check_members(object, "", {"inputs", "add_special_tokens"});
  const json::value* inputs = member(object, "inputs");
  if (inputs == nullptr) refuse_field("inputs: is missing");
  const bool with_special = flag_of(object, "", "add_special_tokens", true);
  tokenizer_of(model);
  const auto texts =
      std::make_shared<const std::vector<std::string>>(one_or_more_texts(*inputs, "inputs", service.limits(model)));
  const auto encodings = std::make_shared<std::vector<nn::EncodedText>>(texts->size());
  const auto task = [texts, encodings, classifier = model.classifier](size_t i) {
    (*encodings)[i] = classifier->encode((*texts)[i]);
  };
  const auto write = [texts, encodings, with_special, model] {
    JsonWriter writer;
    writer.begin_array();
    for (size_t i = 0; i < texts->size(); ++i) {
      write_tokens(writer, tokenizer_of(model), (*encodings)[i], (*texts)[i], with_special);
    }
    writer.end();
    return HttpResponse{200, writer.take(), {}};
  };
  service.compute(model, *texts, places_of(*inputs, "inputs"), std::move(reply), task, write);
}

std::vector<std::int32_t> ids_of(const json::value& value, std::string_view field) {
  if (!value.is_array()) refuse_field(fmt::format("{}: must be a list of whole numbers", field));
  std::vector<std::int32_t> ids;
  for (const json::value& element : value.get_array()) {
    const auto id = integer_of(element);
    if (!id || *id < 0 || *id > std::numeric_limits<std::int32_t>::max()) {
      refuse_field(fmt::format("{}[{}]: must be a whole number from 0 to {}", field, ids.size(),
                               std::numeric_limits<std::int32_t>::max()));
    }
    ids.push_back(static_cast<std::int32_t>(*id));
  }
  return ids;
}

void decode(Service& service, const Model& model, const json::object& object, Routed::Reply reply) {
  check_members(object, "", {"ids", "skip_special_tokens"});
  const json::value* given = member(object, "ids");
  if (given == nullptr || !given->is_array()) refuse_field("ids: must be a list of whole numbers, or of such lists");
  const json::array& list = given->get_array();
  auto ids = std::make_shared<std::vector<std::vector<std::int32_t>>>();
  if (!list.empty() && list.front().is_array()) {
    check_count(list.size(), "ids", service.limits(model));
    for (const json::value& element : list) ids->push_back(ids_of(element, fmt::format("ids[{}]", ids->size())));
  } else {
    ids->push_back(ids_of(*given, "ids"));
  }
  const bool skip = flag_of(object, "", "skip_special_tokens", true);
  tokenizer_of(model);
  const auto texts = std::make_shared<std::vector<std::string>>(ids->size());
  const auto task = [texts, ids, skip, model](size_t i) { (*texts)[i] = tokenizer_of(model).decode((*ids)[i], skip); };
  const auto write = [texts] {
    JsonWriter writer;
    writer.value(*texts);
    return HttpResponse{200, writer.take(), {}};
  };
  const auto place = [](size_t i) { return fmt::format("ids[{}]", i); };
  service.compute(model, std::vector<std::string>(ids->size()), place, std::move(reply), task, write);
}

// A route of the only model, or of the model that the path names.
Route route(Service& service, std::string_view pattern, Operation operation, Handler handler) {
  return {.method = "POST",
          .pattern = pattern,
          .body = BodyKind::kJson,
          .operation = operation,
          .open = [&service, handler](const Call& call) -> Routed::Run {
            const std::string_view name = call.parameter("name");
            return [&service, handler,
                    model = name.empty() ? service.only_model(call.key)
                                         : service.model(name, call.key, call.parameter("version"))](
                       const std::string& body, Routed::Reply reply) {
              service.require_room(model, reply);
              const json::value parsed = parse_json(body, service.limits(model));
              handler(service, model, as_object(parsed, R"({"inputs": "..."})"), std::move(reply));
            };
          },
          .error_form = &kTeiErrors};
}

}  // namespace

std::vector<Route> tei_embeddings(Service& service) {
  const Operation embeds = {kTag, "Embeds texts", kEmbed, kVectors};
  const Operation compares = {kTag, "Compares a sentence with others", kSimilarity,
                              R"({"type":"array","items":{"type":"number"}})"};
  const Operation tokenizes = {kTag, "Shows the tokens of texts", kTokenize, kTokens};
  const Operation decodes = {kTag, "Shows the texts of token ids", kDecode, kStrings};
  return {route(service, "/embed", embeds, embed),
          route(service, "/v1/models/{name}/embed", embeds, embed),
          route(service, "/v1/models/{name}/versions/{version}/embed", embeds, embed),
          route(service, "/similarity", compares, answer_similarity),
          route(service, "/v1/models/{name}/similarity", compares, answer_similarity),
          route(service, "/v1/models/{name}/versions/{version}/similarity", compares, answer_similarity),
          route(service, "/tokenize", tokenizes, tokenize),
          route(service, "/v1/models/{name}/tokenize", tokenizes, tokenize),
          route(service, "/v1/models/{name}/versions/{version}/tokenize", tokenizes, tokenize),
          route(service, "/decode", decodes, decode),
          route(service, "/v1/models/{name}/decode", decodes, decode),
          route(service, "/v1/models/{name}/versions/{version}/decode", decodes, decode)};
}

}  // namespace qing::serve::protocols
