#include "embeddings.h"

#include <utility>

#include <fmt/format.h>

#include <qing/nn/models/sentence_embedding.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::protocols {
namespace json = boost::json;

bool read_truncation(const json::object& object, std::string_view place) {
  // The protocol's description has the default "right" and the values "Left" and "Right".
  const json::value* direction = member(object, "truncation_direction");
  if (direction != nullptr && *direction != "Right" && *direction != "right") {
    refuse_field(
        fmt::format("{}{}truncation_direction: must be Right; this server keeps the beginning of a text that "
                    "is too long",
                    place, place.empty() ? "" : "."));
  }
  return flag_of(object, place, "truncate", true);
}

std::vector<std::string> one_or_more_texts(const json::value& value, std::string_view field, const Limits& limits) {
  if (value.is_array()) return texts_of(value, field, limits);
  return {text_of(value, field, limits)};
}

TextPlace places_of(const json::value& value, std::string_view field) {
  return [field = std::string(field), list = value.is_array()](size_t i) {
    return list ? fmt::format("{}[{}]", field, i) : field;
  };
}

std::vector<float> embedding_of(const Answer& answer, size_t i, std::optional<bool> normalize) {
  std::vector<float> vector = answer.predictions[i].embedding;
  if (normalize.value_or(answer.model.classifier->embedding().normalized)) nn::normalize_embedding(vector);
  return vector;
}

void require_whole(const Answer& answer, bool truncate) {
  for (size_t i = 0; i < answer.predictions.size() && !truncate; ++i) {
    if (!answer.predictions[i].truncated) continue;
    throw Refusal(error_response(413, "text_too_long",
                                 fmt::format("inputs: text {} has more than {} tokens; shorten it, or send "
                                             "\"truncate\": true",
                                             i, answer.model.classifier->max_length())));
  }
}

EmbedRequest read_embed(const json::object& object, const Limits& limits) {
  check_members(object, "", {"inputs", "normalize", "truncate", "truncation_direction"});
  const json::value* inputs = member(object, "inputs");
  if (inputs == nullptr) refuse_field("inputs: is missing");
  EmbedRequest request;
  request.texts = one_or_more_texts(*inputs, "inputs", limits);
  request.place = places_of(*inputs, "inputs");
  if (member(object, "normalize") != nullptr) request.normalize = flag_of(object, "", "normalize", true);
  request.truncate = read_truncation(object, "");
  return request;
}

void answer_embed(Service& service, const Model& model, EmbedRequest request, Routed::Reply reply) {
  const auto write = [normalize = request.normalize, truncate = request.truncate](const Answer& answer) {
    require_whole(answer, truncate);
    JsonWriter writer;
    writer.begin_array();
    for (size_t i = 0; i < answer.predictions.size(); ++i) writer.value(embedding_of(answer, i, normalize));
    writer.end();
    return HttpResponse{200, writer.take(), {}};
  };
  service.predict({.model = model,
                   .texts = std::move(request.texts),
                   .explain = false,
                   .embed = true,
                   .place = std::move(request.place)},
                  std::move(reply), write);
}

bool asks_similarity(const json::object& object) {
  const json::value* inputs = member(object, "inputs");
  return inputs != nullptr && inputs->is_object();
}

void answer_similarity(Service& service, const Model& model, const json::object& object, Routed::Reply reply) {
  check_members(object, "", {"inputs", "parameters"});
  const json::value* inputs = member(object, "inputs");
  if (inputs == nullptr || !inputs->is_object()) {
    refuse_field(R"(inputs: must be an object such as {"source_sentence": "...", "sentences": ["..."]})");
  }
  const Limits limits = service.limits(model);
  const json::object& sentences = inputs->get_object();
  check_members(sentences, "inputs", {"source_sentence", "sentences"});
  const json::value* source = member(sentences, "source_sentence");
  const json::value* others = member(sentences, "sentences");
  if (source == nullptr) refuse_field("inputs.source_sentence: is missing");
  if (others == nullptr) refuse_field("inputs.sentences: is missing");
  bool truncate = true;
  if (const json::value* parameters = member(object, "parameters")) {
    if (!parameters->is_object()) refuse_field("parameters: must be an object");
    check_members(parameters->get_object(), "parameters", {"truncate", "truncation_direction"});
    truncate = read_truncation(parameters->get_object(), "parameters");
  }
  std::vector<std::string> texts = texts_of(*others, "inputs.sentences", limits);
  if (texts.empty()) refuse_field("inputs.sentences: is empty");
  texts.insert(texts.begin(), text_of(*source, "inputs.source_sentence", limits));
  check_count(texts.size(), "inputs.sentences", limits);
  const auto write = [truncate](const Answer& answer) {
    require_whole(answer, truncate);
    JsonWriter writer;
    writer.begin_array();
    for (size_t i = 1; i < answer.predictions.size(); ++i) {
      const double cosine =
          nn::cosine_similarity(answer.predictions.front().embedding, answer.predictions[i].embedding);
      writer.value(static_cast<float>(cosine));
    }
    writer.end();
    return HttpResponse{200, writer.take(), {}};
  };
  const auto place = [](size_t i) {
    return i == 0 ? "inputs.source_sentence" : fmt::format("inputs.sentences[{}]", i - 1);
  };
  service.predict({.model = model, .texts = std::move(texts), .explain = false, .embed = true, .place = place},
                  std::move(reply), write);
}

}  // namespace qing::serve::protocols
