// The service's own routes of training jobs. Their bodies take all options of `qing train`.
#include <qing/serve/protocols/protocols.h>

#include <qing/serve/protocols/job_requests.h>

namespace qing::serve::protocols {

std::vector<Route> native_jobs(Service& service) {
  return job_routes(service, {.make = "/v1/jobs",
                              .one = "/v1/jobs/{id}",
                              .cancel = "/v1/jobs/{id}/cancel",
                              .pause = "/v1/jobs/{id}/pause",
                              .resume = "/v1/jobs/{id}/resume",
                              .events = "/v1/jobs/{id}/events",
                              .checkpoints = "/v1/jobs/{id}/checkpoints",
                              .tag = "jobs",
                              .all_options = true});
}

}  // namespace qing::serve::protocols
