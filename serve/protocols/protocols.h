// The protocols: each file of this folder holds one, as a list of routes.
#pragma once

#include <vector>

#include <qing/serve/router.h>
#include <qing/serve/service.h>

namespace qing::serve::protocols {

// The service must outlive the routes.
std::vector<Route> health(Service& service);
std::vector<Route> native(Service& service);

/// What GET /v1/models/{name} says.
std::string model_json(const Model& model);

}  // namespace qing::serve::protocols
