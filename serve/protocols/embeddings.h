// Shared by the protocols that answer with sentence embeddings, and by text-embeddings-inference.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/http/message.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

/// A text, or a list of them, within the limits. Refusal with 422 that names the field.
std::vector<std::string> one_or_more_texts(const boost::json::value& value, std::string_view field,
                                           const Limits& limits);

/// Where the texts of one_or_more_texts() stand: "field", or "field[0]", "field[1]", ... of a list.
TextPlace places_of(const boost::json::value& value, std::string_view field);

/// The vector of text i, divided by its length if `normalize` is true. nullopt means what the model's modules say.
std::vector<float> embedding_of(const Answer& answer, size_t i, std::optional<bool> normalize = std::nullopt);
/// Reads "truncate" and "truncation_direction". Returns whether a text that is too long is truncated. `place` is the
/// name of the object in errors. Refusal with 422.
bool read_truncation(const boost::json::object& object, std::string_view place);
/// Refusal with 413 for a text that is longer than the model reads, unless `truncate`.
void require_whole(const Answer& answer, bool truncate);

/// The members of Hugging Face's requests for embeddings: /embed and feature extraction.
struct EmbedRequest {
  std::vector<std::string> texts;
  TextPlace place = {};
  std::optional<bool> normalize;
  bool truncate = true;
};
/// Reads {"inputs": "..." or ["...", ...], "normalize", "truncate", "truncation_direction"}.
EmbedRequest read_embed(const boost::json::object& object, const Limits& limits);
/// Embeds the texts and answers [[…], …].
void answer_embed(Service& service, const Model& model, EmbedRequest request, Routed::Reply reply);

/// Whether "inputs" holds a sentence to be compared with others.
bool asks_similarity(const boost::json::object& object);
/// Reads {"inputs": {"source_sentence": "...", "sentences": ["...", ...]}, "parameters": {"truncate",
/// "truncation_direction"}} and answers with the cosine of each sentence to the source: [0.9, …].
void answer_similarity(Service& service, const Model& model, const boost::json::object& object, Routed::Reply reply);

}  // namespace qing::serve::protocols
