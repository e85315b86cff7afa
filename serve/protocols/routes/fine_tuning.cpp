// OpenAI's fine-tuning jobs, and the removal of the models they make.
// https://platform.openai.com/docs/api-reference/fine-tuning
#include <qing/serve/protocols/protocols.h>

#include <iterator>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/protocols/job_requests.h>
#include <qing/serve/protocols/openai.h>
#include <qing/serve/state/audit.h>
#include <qing/tensor/errors.h>

namespace qing::serve::protocols {
namespace {

// A field that is refused is a 400 of these routes, which OpenAI's clients raise as BadRequestError.
HttpResponse job_error(HttpResponse response) {
  if (response.status == 422) response.status = 400;
  return openai_error(std::move(response));
}
const ErrorForm kJobErrors = {kOpenAiErrors.name, kOpenAiErrors.schema, job_error};  // its parts are constants

constexpr std::string_view kDeleted = R"({"type":"object","required":["id","object","deleted"],"properties":{
"id":{"type":"string"},"object":{"const":"model"},"deleted":{"type":"boolean"}}})";

// Only a model that a job made, by the project of that job. Any other model is as one that does not exist.
void remove_model(Service& service, const std::string& name, Routed::Reply reply) {
  const std::optional<std::string> owner = service.owner(name);
  if (!owner || *owner != service.project(reply.key)) {
    throw Refusal(error_response(404, "model_not_found", "no model of this name that a job of this project has made"));
  }
  AuditEntry audit{.key = reply.key, .project = *owner, .action = "model.delete", .object = name};
  service.with_state(std::move(reply), [&service, name, audit = std::move(audit)](Database& database) {
    record(database, audit);  // before the removal, which cannot be taken back
    try {
      service.jobs()->remove_model(database, name);
    } catch (const ValueError& error) { throw Refusal(error_response(409, "model_in_use", error.what())); }
    JsonWriter json;
    json.begin_object().member("id", name).member("object", "model").member("deleted", true).end();
    return HttpResponse{200, json.take(), {}};
  });
}

}  // namespace

std::vector<Route> fine_tuning(Service& service) {
  constexpr std::string_view kTag = "OpenAI fine-tuning";
  std::vector<Route> all = job_routes(service, {.make = "/v1/fine_tuning/jobs",
                                                .one = "/v1/fine_tuning/jobs/{id}",
                                                .cancel = "/v1/fine_tuning/jobs/{id}/cancel",
                                                .pause = "/v1/fine_tuning/jobs/{id}/pause",
                                                .resume = "/v1/fine_tuning/jobs/{id}/resume",
                                                .events = "/v1/fine_tuning/jobs/{id}/events",
                                                .checkpoints = "/v1/fine_tuning/jobs/{id}/checkpoints",
                                                .tag = kTag,
                                                .error_form = &kJobErrors});
  all.push_back({.method = "DELETE",
                 .pattern = "/v1/models/{name}",
                 .operation = {kTag, "Removes a model that a job made", {}, kDeleted},
                 .open =
                     [&service](const Call& call) {
                       return [&service, name = std::string(call.parameter("name"))](const std::string&,
                                                                                     Routed::Reply reply) {
                         remove_model(service, name, std::move(reply));
                       };
                     },
                 .error_form = &kJobErrors,
                 .of_project = true});
  return all;
}

}  // namespace qing::serve::protocols
