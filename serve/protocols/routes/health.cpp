// /health/live and /health/ready for probes.
#include <qing/serve/protocols/protocols.h>

namespace qing::serve::protocols {
namespace {

constexpr std::string_view kStatus =
    R"({"type":"object","properties":{"status":{"type":"string","const":"ok"}},"required":["status"]})";

HttpResponse ok() { return {200, R"({"status":"ok"})", {}}; }

}  // namespace

std::vector<Route> health(Service& service) {
  return {{.method = "GET",
           .pattern = "/health/live",
           .scope = Scope::kOpen,
           .operation = {"health", "200 while the process answers", {}, kStatus},
           .open = [](const Call&) { return answer(ok()); }},
          {.method = "GET",
           .pattern = "/health/ready",
           .scope = Scope::kOpen,
           .operation = {"health", "200 when there is a model and the server does not stop, else 503", {}, kStatus},
           .open = [&service](const Call&) {
             return [&service](const std::string&, const Routed::Reply& reply) {
               service.require_ready();
               reply(ok());
             };
           }}};
}

}  // namespace qing::serve::protocols
