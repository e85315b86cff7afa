// The OpenAPI 3.1 description of a route table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/http/router.h>

namespace qing::serve {

/// A JSON document with every route, its parameters, its body, its answer and its errors. `base` is the prefix that
/// clients put before the routes' paths.
std::string openapi_json(const std::vector<Route>& routes, std::string_view base = {});

}  // namespace qing::serve
