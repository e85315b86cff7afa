#include <qing/serve/tasks/tagging/tagging_routes.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <qing/nn/utf8.h>
#include <qing/serve/common/estimated_tokens.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/v2_tensors.h>

namespace qing::serve::tagging {
namespace {

using protocols::refuse_field;

constexpr std::string_view kTagRequest = R"({"type":"object","required":["texts"],
"additionalProperties":{"type":"null"},"properties":{"texts":{"type":"array","items":{"type":"string"}}}})";
constexpr std::string_view kTagResponse = R"({"type":"object","required":["model","version","results"],
"properties":{"model":{"type":"string"},"version":{"type":"string"},"results":{"type":"array","items":{"type":"object",
"required":["entities","tokens"],"properties":{"tokens":{"type":"integer"},"entities":{"type":"array","items":{
"type":"object","required":["type","begin","end","text","score"],"properties":{"type":{"type":"string"},
"begin":{"type":"integer"},"end":{"type":"integer"},"text":{"type":"string"},"score":{"type":"number"}}}}}}}}})";

// The texts of a request and what was found in them.
class TagWork final : public SharedWork {
 public:
  TagWork(Model model, std::vector<std::string> texts)
      : model_(std::move(model)),
        tagger_(std::dynamic_pointer_cast<const nn::Tagger>(model_.served)),
        texts_(std::move(texts)),
        found_(texts_.size()) {}

  const Model& model() const { return model_; }
  const std::vector<std::string>& texts() const { return texts_; }
  const nn::TaggedText& found(size_t i) const { return found_[i]; }

  std::vector<std::int32_t> run(std::span<const Text> texts) override {
    std::vector<std::string> all;
    for (const Text& text : texts) all.push_back(of(text).texts_[text.index]);
    std::vector<nn::TaggedText> tagged = tagger_->tag(all);
    std::vector<std::int32_t> tokens;
    for (size_t i = 0; i < texts.size(); ++i) {
      tokens.push_back(tagged[i].tokens);
      of(texts[i]).found_[texts[i].index] = std::move(tagged[i]);
    }
    return tokens;
  }

 private:
  static TagWork& of(const Text& text) { return dynamic_cast<TagWork&>(*text.work); }

  const Model model_;
  const std::shared_ptr<const nn::Tagger> tagger_;
  const std::vector<std::string> texts_;
  std::vector<nn::TaggedText> found_;  // elements are written by several threads
};

using WriteTagged = std::function<HttpResponse(const TagWork&)>;

void tag_texts(Service& service, const Model& asked, std::vector<std::string> texts, Routed::Reply reply,
               WriteTagged write) {
  const Model model = service.answering(asked, texts, reply);
  std::vector<size_t> costs;
  costs.reserve(texts.size());
  for (const std::string& text : texts) costs.push_back(estimated_tokens(text));
  const auto work = std::make_shared<TagWork>(model, std::move(texts));
  service.work(model,
               {.costs = std::move(costs),
                .items = work->texts().size(),
                .shared = work,
                .write = [work, write = std::move(write)] { return write(*work); }},
               std::move(reply));
}

HttpResponse tag_response(const TagWork& work) {
  JsonWriter json;
  json.begin_object().member("model", work.model().name).member("version", std::to_string(work.model().version));
  json.key("results").begin_array();
  for (size_t i = 0; i < work.texts().size(); ++i) {
    json.begin_object().key("entities");
    write_entities(json, work.found(i), work.texts()[i]);
    json.member("tokens", work.found(i).tokens).end();
  }
  json.end().end();
  return {200, json.take(), {}};
}

Routed::Run tag(Service& service, const Call& call) {
  return
      [&service, model = service.task_model(nn::kTagging, call.parameter("name"), call.key, call.parameter("version"))](
          const std::string& body, Routed::Reply reply) {
        service.require_room(model, reply);
        const Limits limits = service.limits(model);
        const boost::json::value parsed = protocols::parse_json(body, limits);
        const boost::json::object& object = protocols::as_object(parsed, R"({"texts": ["..."]})");
        protocols::check_members(object, "", {"texts"});
        const boost::json::value* texts = protocols::member(object, "texts");
        if (texts == nullptr) refuse_field("texts: is missing; give a list of strings");
        tag_texts(service, model, protocols::texts_of(*texts, "texts", limits), std::move(reply), tag_response);
      };
}

}  // namespace

void write_entities(JsonWriter& json, const nn::TaggedText& tagged, std::string_view text) {
  json.begin_array();
  size_t bytes = 0, characters = 0;  // the same position in the text
  for (const nn::Entity& entity : tagged.entities) {
    const size_t begin = characters + nn::count_characters(text.substr(bytes, entity.begin - bytes));
    const std::string_view own = text.substr(entity.begin, entity.end - entity.begin);
    characters = begin + nn::count_characters(own);
    bytes = entity.end;
    json.begin_object().member("type", entity.type).member("begin", begin).member("end", characters);
    json.member("text", own).member("score", entity.score).end();
  }
  json.end();
}

std::vector<Route> tag_routes(Service& service) {
  std::vector<Route> routes;
  for (const auto& [pattern, summary] :
       {std::pair<std::string_view, std::string_view>{kTagRoute, "Finds named entities in texts"},
        {"/v1/models/{name}/versions/{version}/tag", "The same by a served version"}}) {
    routes.push_back({.method = "POST",
                      .pattern = pattern,
                      .body = BodyKind::kJson,
                      .operation = {"tagging", summary, kTagRequest, kTagResponse},
                      .open = [&service](const Call& call) { return tag(service, call); }});
  }
  return routes;
}

Routed::Run infer_entities(Service& service, const Model& model, const Call& call) {
  return [&service, model, length = protocols::v2_header_length(call.head)](const std::string& body,
                                                                            Routed::Reply reply) {
    service.require_room(model, reply);
    protocols::V2Request request = protocols::read_v2(body, length, *model.served, service.limits(model));
    std::vector<std::string> texts = std::move(request.texts);
    tag_texts(service, model, std::move(texts), std::move(reply), [request = std::move(request)](const TagWork& work) {
      return protocols::write_v2(request, work.model(), work.texts().size(), [&](const std::string&) {
        protocols::V2Column column;
        for (size_t i = 0; i < work.texts().size(); ++i) {
          JsonWriter json;
          write_entities(json, work.found(i), work.texts()[i]);
          column.texts.push_back(json.take());
        }
        return column;
      });
    });
  };
}

}  // namespace qing::serve::tagging
