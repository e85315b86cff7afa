// The OpenAPI 3.1 description of a route table.
#pragma once

#include <string>
#include <vector>

#include <qing/serve/http/router.h>

namespace qing::serve {

/// A JSON document with every route, its parameters, its body, its answer and its errors.
std::string openapi_json(const std::vector<Route>& routes);

}  // namespace qing::serve
