// The routes of taggers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/tagger.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/http/router.h>
#include <qing/serve/service/service.h>

namespace qing::serve::tagging {

inline constexpr std::string_view kTagRoute = "/v1/models/{name}/tag";

/// Writes the array of a text's entities: {"type", "begin", "end", "text", "score"}, with offsets in characters.
void write_entities(JsonWriter& json, const nn::TaggedText& tagged, std::string_view text);

/// POST /v1/models/{name}/tag, and the same by a served version.
std::vector<Route> tag_routes(Service& service);
/// POST /v2/models/{name}/infer: BYTES "text" to BYTES "entities", the array of each text's entities as JSON.
Routed::Run infer_entities(Service& service, const Model& model, const Call& call);

}  // namespace qing::serve::tagging
