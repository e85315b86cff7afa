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

}  // namespace qing::serve::translation
