// Trials of versions, by hand or in steps.
#include <qing/serve/protocols/protocols.h>

#include <fmt/format.h>

#include <qing/serve/maintenance/trial_plan.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/model_changes.h>
#include <qing/serve/protocols/trial_requests.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kTag = "admin";
constexpr std::string_view kTrial = R"({"type":"object","required":["version"],"additionalProperties":{"type":"null"},
"properties":{"version":{"oneOf":[{"type":"string",
"pattern":"^[1-9][0-9]{0,14}$"},{"type":"integer","minimum":1,"maximum":999999999999999}]},
"share":{"type":["number","null"],"exclusiveMinimum":0,"maximum":1},"shadow":{"type":["boolean","null"]},
"compare":{"type":["boolean","null"]},"steps":{"type":["array","null"],"minItems":1,"maxItems":32,
"items":{"type":"number","exclusiveMinimum":0,"maximum":1}},"minutes_each":{"type":["number","null"],
"minimum":0,"maximum":525600},"by":{"enum":["caller","request",null]},"requests_each":{"type":["integer","null"],"minimum":1,"maximum":1000000000},
"rollback":{"type":["object","null"],"additionalProperties":{"type":"null"},"properties":{
"error_rate":{"type":["number","null"],"minimum":0,"maximum":1},
"latency_factor":{"type":["number","null"],"minimum":1,"maximum":1000},
"agreement":{"type":["number","null"],"minimum":0,"maximum":1},
"drift":{"type":["number","null"],"minimum":0,"maximum":100}}}}})";

ReadChange read_trial(Service& service, const ChangeRequest& request) {
  const json::object object = read_object(
      request.body, service.limits(),
      {"version", "share", "shadow", "compare", "by", "steps", "minutes_each", "requests_each", "rollback"});
  const std::int64_t version = version_of(object);
  if (version == 0) refuse_field("version: is missing");
  const bool by_request = by_request_of(object);
  if (std::optional<TrialPlan> plan = trial_plan_of(object)) {
    plan->model = request.name;
    plan->version = version;
    plan->key = request.key;
    plan->project = service.project(request.key);
    const std::string detail = fmt::format("version {}, {}", version, to_json(*plan));
    return {detail, [&service, by_request, plan = std::move(*plan)](Registry& registry) {
              return model_response(begin_trial(service, registry, plan, by_request));
            }};
  }
  const Trial trial{version, number_member(object, "share", 1, 0, 1), flag_of(object, "", "shadow", false),
                    flag_of(object, "", "compare", false), by_request};
  return {fmt::format("version {}, share {}{}{}", version, trial.share, trial.shadow ? ", shadow" : "",
                      by_request ? " of the requests" : ""),
          [&service, trial, name = request.name](Registry& registry) {
            end_plan(service, name);
            return model_response(registry.set_trial(name, trial));
          }};
}

}  // namespace

std::vector<Route> trials(Service& service) {
  return {
      model_change(service, "PUT", "/v1/admin/models/{name}/trial", "trial.set",
                   {kTag,
                    "Puts another version on trial: it answers a share of the callers, in steps if the body has "
                    "some, or as a shadow none",
                    kTrial, kChangedModel},
                   [&service](const ChangeRequest& request) { return read_trial(service, request); }),
      model_change(service, "DELETE", "/v1/admin/models/{name}/trial", "trial.remove",
                   {kTag, "Ends a trial", {}, kChangedModel}, [&service](const ChangeRequest& request) -> ReadChange {
                     read_object(request.body, service.limits(), {});
                     return {{}, [&service, name = request.name](Registry& registry) {
                               if (!registry.find(name)) Registry::throw_unknown(name);
                               end_plan(service, name);
                               return model_response(registry.remove_trial(name));
                             }};
                   })};
}

}  // namespace qing::serve::protocols
