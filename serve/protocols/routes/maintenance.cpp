// What administrators read about models and changes, and the schedules of retraining.
#include <qing/serve/protocols/protocols.h>

#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/maintenance/caretaker.h>
#include <qing/serve/maintenance/promotion_store.h>
#include <qing/serve/maintenance/retraining.h>
#include <qing/serve/maintenance/trial_plan.h>
#include <qing/serve/protocols/answers_json.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/model_changes.h>
#include <qing/serve/protocols/query.h>
#include <qing/serve/protocols/trial_requests.h>
#include <qing/tensor/errors.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kTag = "admin";
constexpr std::int64_t kMostEntries = 1000, kHistory = 100;
constexpr std::string_view kAudit = R"({"type":"object","required":["object","data","has_more","next"],"properties":{
"object":{"const":"list"},"data":{"type":"array","items":{"type":"object","required":["number","time","key",
"project","action","object","detail"]}},"has_more":{"type":"boolean"},"next":{"type":["integer","null"]}}})";
constexpr std::string_view kObject = R"({"type":"object"})";
constexpr std::string_view kSchedule = R"({"type":"object","required":["every_hours","least_texts"],
"additionalProperties":{"type":"null"},"properties":{"every_hours":{"type":"number","minimum":0,"maximum":87600},
"least_texts":{"type":"integer","minimum":1,"maximum":100000}}})";

void write_entry(JsonWriter& json, const AuditEntry& entry) {
  json.begin_object().member("number", entry.number).member("time", entry.time).member("key", entry.key);
  json.member("project", entry.project).member("action", entry.action).member("object", entry.object);
  json.member("detail", entry.detail).end();
}

HttpResponse audit_response(std::vector<AuditEntry> entries, std::int64_t most) {
  const bool more = static_cast<std::int64_t>(entries.size()) > most;
  if (more) entries.resize(static_cast<size_t>(most));
  JsonWriter json;
  json.begin_object().member("object", "list").key("data").begin_array();
  for (const AuditEntry& entry : entries) write_entry(json, entry);
  json.end().member("has_more", more).key("next");
  more ? json.value(entries.back().number) : json.raw("null");
  json.end();
  return {200, json.take(), {}};
}

Route audit_route(Service& service) {
  return {.method = "GET",
          .pattern = "/v1/admin/audit",
          .scope = Scope::kAdmin,
          .operation = {kTag, "The changes that keys of this project made, the newest first", {}, kAudit},
          .open = [&service](const Call& call) {
            const Query asked = query_of(call.head.query);
            check_query(asked, {"limit", "before", "action"});
            AuditQuery query{.project = service.project(call.key)};
            const auto most = static_cast<std::int64_t>(integer_of(asked, "limit", 1, kMostEntries, 100));
            query.most = most + 1;
            query.before = static_cast<std::int64_t>(integer_of(asked, "before", 1, INT64_MAX, 0));
            query.action = value_of(asked, "action");
            return [&service, query, most](const std::string&, Routed::Reply reply) {
              service.with_state(std::move(reply), [query, most](Database& database) {
                return audit_response(audit_entries(database, query), most);
              });
            };
          }};
}

// A route that reads about a model which the caller may see.
Route model_route(Service& service, std::string_view pattern, std::string_view summary,
                  std::function<HttpResponse(const Model&, Database&, const std::string& project)> read) {
  return {.method = "GET",
          .pattern = pattern,
          .scope = Scope::kAdmin,
          .operation = {kTag, summary, {}, kObject},
          .open = [&service, read = std::move(read)](const Call& call) {
            return [&service, read, model = service.model(call.parameter("name"), call.key)](const std::string&,
                                                                                             Routed::Reply reply) {
              const std::string project = service.project(reply.key);
              service.with_state(std::move(reply), [=](Database& database) { return read(model, database, project); });
            };
          }};
}

void write_promotion(JsonWriter& json, const Promotion& promotion) {
  json.begin_object().key("version");
  promotion.version == 0 ? json.raw("null") : json.value(std::to_string(promotion.version));
  json.member("from", promotion.source).member("from_version", std::to_string(promotion.source_version));
  json.member("key", promotion.key).member("created", promotion.created).member("reasons", promotion.reasons);
  json.key("comparison").raw(promotion.comparison.empty() ? "null" : promotion.comparison).end();
}

// Of other projects' doings the versions are shown, since they answer for all, but not who asked for them.
HttpResponse history_response(const Model& model, Database& database, const std::string& project) {
  JsonWriter json;
  json.begin_object().member("model", model.name).member("version", std::to_string(model.version));
  json.member("versions", version_texts(model.versions)).key("promotions").begin_array();
  for (Promotion& promotion : PromotionStore(database).of(model.name, kHistory)) {
    if (promotion.project != project) {
      promotion.key.clear();
      promotion.source.clear();
    }
    write_promotion(json, promotion);
  }
  json.end().key("trial_plan");
  if (const std::optional<TrialPlan> plan = TrialPlans(database).find(model.name)) {
    json.begin_object().member("version", std::to_string(plan->version)).member("step", plan->step);
    json.member("step_started", plan->step_started).key("plan").raw(to_json(*plan)).end();
  } else {
    json.raw("null");
  }
  json.key("changes").begin_array();
  for (const AuditEntry& entry :
       audit_entries(database, {.project = project, .object = model.name, .most = kHistory})) {
    write_entry(json, entry);
  }
  json.end().end();
  return {200, json.take(), {}};
}

HttpResponse plan_response(const RetrainingPlan& plan) {
  JsonWriter json;
  json.begin_object().member("model", plan.model).member("every_hours", static_cast<double>(plan.every) / 3600);
  json.member("least_texts", plan.least).member("started", plan.started).end();
  return {200, json.take(), {}};
}

ReadChange read_schedule(Service& service, const ChangeRequest& request) {
  const json::object object = read_object(request.body, service.limits(), {"every_hours", "least_texts"});
  for (const char* name : {"every_hours", "least_texts"}) {
    if (member(object, name) == nullptr) refuse_field(fmt::format("{}: is missing", name));
  }
  RetrainingPlan plan{.model = request.name, .project = service.project(request.key), .key = request.key};
  plan.every = static_cast<std::int64_t>(3600 * number_member(object, "every_hours", 0, 0, 87600));
  plan.least = integer_member(object, "least_texts", 0, 1, Caretaker::kMostFeedback);
  return {
      fmt::format("every {} s, from {} texts", plan.every, plan.least), [&service, plan](Registry& registry) mutable {
        const std::optional<Model> model = registry.find(plan.model);
        if (!model || !service.visible(model->name, plan.key)) Registry::throw_unknown(plan.model);
        if (service.state() == nullptr) {
          throw Refusal(error_response(404, "no_state", "this server trains nothing; start it with a state folder"));
        }
        Database database = service.state()->open();
        RetrainingPlans plans(database);
        plan.model = model->name;
        plan.started = Caretaker::system_time();
        if (const auto old = plans.find(plan.model, plan.project)) {  // it goes on where it was
          plan.started = old->started;
          plan.feedback = old->feedback;
        }
        plans.put(plan);
        return plan_response(plan);
      }};
}

ReadChange read_schedule_removal(Service& service, const ChangeRequest& request) {
  read_object(request.body, service.limits(), {});
  return {{}, [&service, name = request.name, project = service.project(request.key)](Registry& registry) {
            if (!registry.find(name)) Registry::throw_unknown(name);
            bool removed = false;
            if (service.state() != nullptr && service.state()->exists()) {
              Database database = service.state()->open();
              removed = RetrainingPlans(database).remove(name, project);
            }
            if (!removed) throw IndexError("retraining: there is no schedule for this model");
            return HttpResponse{200, "{}", {}};
          }};
}

}  // namespace

std::vector<Route> maintenance(Service& service) {
  return {audit_route(service),
          model_route(service, "/v1/admin/models/{name}/history", "Versions of a model and changes to it",
                      history_response),
          model_route(service, "/v1/admin/models/{name}/report", "Whether a model should be trained again, and why",
                      [&service](const Model& model, Database& database, const std::string&) {
                        FeedbackStore feedback(database);
                        const ModelReport report =
                            report_on(model, service.drift(), feedback, Caretaker::system_time());
                        return HttpResponse{200, to_json(report), {}};
                      }),
          model_change(service, "PUT", "/v1/admin/models/{name}/retraining", "retraining.set",
                       {kTag, "Trains a candidate from feedback on a schedule", kSchedule, kObject},
                       [&service](const ChangeRequest& request) { return read_schedule(service, request); }),
          model_change(service, "DELETE", "/v1/admin/models/{name}/retraining", "retraining.remove",
                       {kTag, "Ends a schedule of retraining", {}, kObject},
                       [&service](const ChangeRequest& request) { return read_schedule_removal(service, request); })};
}

}  // namespace qing::serve::protocols
