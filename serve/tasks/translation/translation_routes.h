// The routes of translation models.
#pragma once

#include <string_view>
#include <vector>

#include <qing/serve/http/router.h>
#include <qing/serve/service/service.h>

namespace qing::serve::translation {

inline constexpr std::string_view kTranslateRoute = "/v1/models/{name}/translate";

/// POST /v1/models/{name}/translate, and the same by a served version, with a scheduler that all of them share and that
/// ends with the routes.
std::vector<Route> translation_routes(Service& service);

/// POST /v2/models/{name}/infer: BYTES "text" to BYTES "translation", by the same scheduler. The request's parameters
/// are the options of the other route, without alignments and streams.
Routed::Run infer_translations(Service& service, const Model& model, const Call& call);

}  // namespace qing::serve::translation
