// The protocols. A file X.cpp of serve/protocols/routes holds one, as a function X(Service&) that returns its routes.
// CMake makes the table of these functions from the files' names.
#pragma once

#include <vector>

#include <qing/serve/http/router.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

/// The routes of all protocols and of all tasks (serve/tasks/task.h). The service must outlive them.
std::vector<Route> all_routes(Service& service);

}  // namespace qing::serve::protocols
