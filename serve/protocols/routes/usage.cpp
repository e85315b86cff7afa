// What a project keeps and has used.
#include <qing/serve/protocols/protocols.h>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_store.h>

namespace qing::serve::protocols {
namespace {

constexpr std::string_view kUsage = R"({"type":"object","required":["project","files","jobs","models"],"properties":{
"project":{"type":"string"},
"files":{"type":"object","required":["count","bytes","limit_bytes"],"properties":{"count":{"type":"integer"},
"bytes":{"type":"integer"},"limit_bytes":{"type":"integer"}}},
"jobs":{"type":"object","required":["count","seconds","tokens"],"properties":{"count":{"type":"integer"},
"seconds":{"type":"number"},"tokens":{"type":"integer"}}},
"models":{"type":"object","required":["count"],"properties":{"count":{"type":"integer"}}}}})";

HttpResponse usage_response(const Service& service, Database& database, const std::string& key) {
  const std::string project = service.project(key);
  FileStore files(database, *service.state());
  const JobStore::Usage used = JobStore(database).usage(project);
  size_t models = 0;
  for (const Model& model : service.models(key)) models += service.owner(model.name) == project ? 1 : 0;
  JsonWriter json;
  json.begin_object().member("project", project).key("files").begin_object();
  json.member("count", files.count(project)).member("bytes", files.used(project));
  json.member("limit_bytes", service.limits().storage_bytes).end();
  json.key("jobs").begin_object().member("count", used.jobs);
  json.member("seconds", static_cast<double>(used.milliseconds) / 1000).member("tokens", used.tokens).end();
  json.key("models").begin_object().member("count", models).end().end();
  return {200, json.take(), {}};
}

}  // namespace

std::vector<Route> usage(Service& service) {
  return {{.method = "GET",
           .pattern = "/v1/usage",
           .operation = {"usage", "What the project of the caller keeps and has used", {}, kUsage},
           .open =
               [&service](const Call&) {
                 return [&service](const std::string&, Routed::Reply reply) {
                   const std::string key = reply.key;
                   service.with_state(std::move(reply), [&service, key](Database& database) {
                     return usage_response(service, database, key);
                   });
                 };
               },
           .of_project = true}};
}

}  // namespace qing::serve::protocols
