// What OpenAI's fine-tuning routes and the service's own routes of jobs share.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/http/router.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

/// The routes of jobs below a path such as "/v1/fine_tuning/jobs": make, list, show, cancel, pause, resume, events and
/// checkpoints. With `all_options`, the body of a new job may also have the options of `qing train` by name.
struct JobRoutes {
  std::string_view make, one, cancel, pause, resume, events, checkpoints;  ///< patterns; {id} is the job
  std::string_view tag;
  const ErrorForm* error_form = nullptr;
  bool all_options = false;
};
std::vector<Route> job_routes(Service& service, const JobRoutes& routes);

}  // namespace qing::serve::protocols
