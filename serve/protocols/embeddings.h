// What the protocols have in common that answer with sentence embeddings.
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

/// Whether the model answers with embeddings instead of labels.
bool embeds(const Model& model);

/// A text, or a list of them, within the limits. Refusal with 422 that names the field.
std::vector<std::string> one_or_more_texts(const boost::json::value& value, std::string_view field,
                                           const Limits& limits);

/// The vector of text i. Its length is 1 if `normalize`; nullopt: as the model's own modules have it.
std::vector<float> embedding_of(const Answer& answer, std::size_t i, std::optional<bool> normalize = std::nullopt);
/// Refusal with 413 for a text that is longer than the model reads, unless `truncate`.
void require_whole(const Answer& answer, bool truncate);

/// The members of Hugging Face's requests for embeddings: /embed and feature extraction.
struct EmbedRequest {
  std::vector<std::string> texts;
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
