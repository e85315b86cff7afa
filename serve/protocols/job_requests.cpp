#include "job_requests.h"

#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/common/json_text.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_json.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/protocols/job_body.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/query.h>
#include <qing/tensor/errors.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kJob = R"({"type":"object","required":["id","object","created_at","error",
"fine_tuned_model","finished_at","hyperparameters","method","model","organization_id","result_files","seed","status",
"trained_tokens","training_file","validation_file","integrations","metadata","estimated_finish"],"properties":{
"id":{"type":"string"},"object":{"const":"fine_tuning.job"},"status":{"enum":["validating_files","queued","running",
"paused","succeeded","failed","cancelled"]},"fine_tuned_model":{"type":["string","null"]},"progress":{"type":"object",
"required":["step","steps"]}}})";
constexpr std::string_view kPage = R"({"type":"object","required":["object","data","has_more"],"properties":{
"object":{"const":"list"},"data":{"type":"array","items":{"type":"object","required":["id","object","created_at"]}},
"has_more":{"type":"boolean"}}})";
constexpr std::string_view kListQuery = R"({"name":"after","in":"query","schema":{"type":"string"}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":100,"default":20}},
{"name":"metadata","in":"query","style":"deepObject","schema":{"type":"object"}})";
constexpr std::string_view kEventQuery = R"({"name":"after","in":"query","schema":{"type":"string"}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":1000,"default":20}})";
// Nothing is told apart of what does not exist and what is another project's.
[[noreturn]] void refuse_unknown() {
  throw Refusal(error_response(404, "job_not_found", "no fine-tuning job of this id"));
}

void check_file(Database& database, const State& state, const TrainingJob& job, const std::string& id,
                std::string_view field) {
  const std::optional<StoredFile> file = FileStore(database, state).get(job.project, id);
  if (!file) refuse_field(fmt::format("{}: there is no file of this id", field));
  if (!FileStore::is_dataset(file->purpose)) {
    refuse_field(
        fmt::format("{}: the file's purpose is {}; upload it with the purpose fine-tune", field, file->purpose));
  }
}

HttpResponse job_response(const TrainingJob& job) {
  JsonWriter json;
  write_job(json, job);
  return {200, json.take(), {}};
}

TrainingJob job_of(Database& database, const std::string& project, const std::string& id) {
  std::optional<TrainingJob> job = JobStore(database).find(project, id);
  if (!job) refuse_unknown();
  return std::move(*job);
}

void make_job(Service& service, const std::string& body, Routed::Reply reply, std::string idempotency_key,
              bool all_options) {
  if (service.jobs() == nullptr || !service.jobs()->accepts_jobs()) {
    throw Refusal(error_response(403, "jobs_disabled", "this server runs no jobs; its operator allows them by --jobs"));
  }
  NewJob made = read_new_job(service, body, reply.key, all_options);
  if (idempotency_key.size() > 255) refuse_field("Idempotency-Key: has more than 255 bytes");
  made.idempotency_key = std::move(idempotency_key);
  const std::string key = reply.key;
  service.with_state(std::move(reply), [&service, key, made = std::move(made)](Database& database) {
    check_file(database, *service.state(), made.job, made.job.training_file, "training_file");
    if (!made.job.validation_file.empty()) {
      check_file(database, *service.state(), made.job, made.job.validation_file, "validation_file");
    }
    try {
      const TrainingJob job = JobStore(database).create(made.job, made.suffix, made.idempotency_key, made.request, key,
                                                        service.jobs()->most_unfinished());
      service.jobs()->wake();
      return job_response(job);
    } catch (const TooManyJobs& error) { throw Refusal(error_response(429, "too_many_jobs", error.what())); }
  });
}

// metadata[key]=value, as OpenAI's clients write a nested object.
std::map<std::string, std::string> metadata_filter(const Query& query) {
  constexpr std::string_view kOpen = "metadata[";
  std::map<std::string, std::string> filter;
  Query others;
  for (const auto& [name, value] : query) {
    if (name.starts_with(kOpen) && name.ends_with("]")) {
      filter.emplace(name.substr(kOpen.size(), name.size() - kOpen.size() - 1), value);
    } else {
      others.emplace_back(name, value);
    }
  }
  check_query(others, {"after", "limit"});
  return filter;
}

template <class Item, class Write> HttpResponse page_response(const JobStore::Page<Item>& page, Write write) {
  JsonWriter json;
  json.begin_object().member("object", "list").key("data").begin_array();
  for (const Item& item : page.items) write(json, item);
  json.end().member("has_more", page.more).end();
  return {200, json.take(), {}};
}

void list_jobs(Service& service, const Query& query, Routed::Reply reply) {
  const std::int64_t limit = static_cast<std::int64_t>(integer_of(query, "limit", 1, 100, 20));
  const std::string project = service.project(reply.key);
  const std::string after(value_of(query, "after"));
  const std::map<std::string, std::string> filter = metadata_filter(query);
  service.with_state(std::move(reply), [=](Database& database) {
    JobStore store(database);
    if (!after.empty()) job_of(database, project, after);
    return page_response(store.list(project, after, limit, filter),
                         [](JsonWriter& json, const TrainingJob& job) { write_job(json, job); });
  });
}

void list_events(Service& service, const std::string& id, const Query& query, Routed::Reply reply) {
  check_query(query, {"after", "limit", "stream"});
  const std::int64_t limit = static_cast<std::int64_t>(integer_of(query, "limit", 1, 1000, 20));
  const std::string project = service.project(reply.key), after = std::string(value_of(query, "after"));
  service.with_state(std::move(reply), [=](Database& database) {
    job_of(database, project, id);
    const std::int64_t before = after.empty() ? 0 : event_number(id, after);
    if (before == 0 && !after.empty()) throw Refusal(error_response(404, "event_not_found", "after: no such event"));
    return page_response(JobStore(database).events(id, before, limit),
                         [&](JsonWriter& json, const JobEvent& event) { write_event(json, id, event); });
  });
}

void stream_events(Service& service, const std::string& id, const std::string& last, Routed::Reply reply) {
  const std::string project = service.project(reply.key);
  service.with_state(std::move(reply), [&service, project, id, last](Database& database) {
    job_of(database, project, id);
    HttpResponse response;
    response.content_type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-store");
    response.headers.emplace_back("X-Accel-Buffering", "no");  // of nginx, which would hold events back
    response.stream = std::make_shared<BodyStream>();
    service.jobs()->follow(id, event_number(id, last), response.stream);
    return response;
  });
}

// The model of the best evaluation is the only one of a training that stays.
void list_checkpoints(Service& service, const std::string& id, Routed::Reply reply) {
  const std::string project = service.project(reply.key);
  service.with_state(std::move(reply), [=](Database& database) {
    JobStore::Page<TrainingJob> page;
    if (TrainingJob job = job_of(database, project, id); job.status == JobStatus::kSucceeded) {
      page.items.push_back(std::move(job));
    }
    return page_response(page, [](JsonWriter& json, const TrainingJob& job) {
      const json::object outcome = json::parse(job.outcome).as_object();
      const json::value* best = outcome.if_contains("best_step");
      const std::int64_t step = (best == nullptr ? outcome.at("steps") : *best).to_number<std::int64_t>();
      json.begin_object().member("id", fmt::format("ftckpt-{}-{}", job.id.substr(job.id.find('-') + 1), step));
      json.member("object", "fine_tuning.job.checkpoint").member("created_at", job.finished);
      json.member("fine_tuned_model_checkpoint", job.model).member("fine_tuning_job_id", job.id);
      json.member("step_number", step).key("metrics").begin_object().member("step", step);
      json.member("train_loss", outcome.at("train_loss").to_number<double>());
      for (const char* none :
           {"train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy", "full_valid_loss"}) {
        json.key(none).raw("null");
      }
      const json::value* validation = outcome.if_contains("validation");
      // Several labels and numbers have no accuracy.
      const json::value* accuracy = validation == nullptr ? nullptr : validation->as_object().if_contains("accuracy");
      json.key("full_valid_mean_token_accuracy");
      json.raw(accuracy == nullptr ? "null" : json_text(*accuracy)).end().end();
    });
  });
}

using Change = std::function<bool(JobStore&, const std::string& id, const AuditEntry&)>;

Route change_route(Service& service, const JobRoutes& routes, std::string_view pattern, std::string_view summary,
                   std::string_view action, std::string_view done, Change change) {
  return {.method = "POST",
          .pattern = pattern,
          .body = BodyKind::kAny,
          .operation = {routes.tag, summary, {}, kJob},
          .open =
              [&service, action, done, change = std::move(change)](const Call& call) {
                AuditEntry audit{.key = call.key,
                                 .project = service.project(call.key),
                                 .action = std::string(action),
                                 .object = std::string(call.parameter("id"))};
                return [&service, done, change, audit](const std::string&, Routed::Reply reply) {
                  service.with_state(std::move(reply), [&service, done, change, audit](Database& database) {
                    const std::string &id = audit.object, &project = audit.project;
                    job_of(database, project, id);
                    JobStore store(database);
                    const bool changed = change(store, id, audit);
                    const TrainingJob job = job_of(database, project, id);
                    if (!changed) {
                      throw Refusal(
                          error_response(400, "invalid_status",
                                         fmt::format("a job that is {} cannot be {}", status_name(job.status), done)));
                    }
                    service.jobs()->wake();
                    return job_response(job);
                  });
                };
              },
          .error_form = routes.error_form,
          .of_project = true};
}

}  // namespace

std::vector<Route> job_routes(Service& service, const JobRoutes& routes) {
  using enum JobStatus;
  const auto read = [&](std::string_view pattern, std::string_view summary, std::string_view response,
                        std::function<Routed::Run(const Call&)> open, std::string_view query = {}) {
    Route route{.method = "GET",
                .pattern = pattern,
                .operation = {routes.tag, summary, {}, response},
                .open = std::move(open),
                .error_form = routes.error_form,
                .of_project = true};
    route.operation.query = query;
    return route;
  };
  return {
      {.method = "POST",
       .pattern = routes.make,
       .body = BodyKind::kJson,
       .operation = {routes.tag, "Makes a training job", kNewJobBody, kJob},
       .open =
           [&service, all = routes.all_options](const Call& call) {
             return [&service, all, key = std::string(call.head.header("Idempotency-Key"))](const std::string& body,
                                                                                            Routed::Reply reply) {
               make_job(service, body, std::move(reply), key, all);
             };
           },
       .error_form = routes.error_form,
       .of_project = true},
      read(
          routes.make, "Jobs, the newest first", kPage,
          [&service](const Call& call) {
            return [&service, query = query_of(call.head.query)](const std::string&, Routed::Reply reply) {
              list_jobs(service, query, std::move(reply));
            };
          },
          kListQuery),
      read(routes.one, "A job", kJob,
           [&service](const Call& call) {
             return [&service, id = std::string(call.parameter("id"))](const std::string&, Routed::Reply reply) {
               const std::string project = service.project(reply.key);
               service.with_state(std::move(reply), [id, project](Database& database) {
                 return job_response(job_of(database, project, id));
               });
             };
           }),
      read(
          routes.events, "What happened to a job, the newest first; or a stream of it", kPage,
          [&service](const Call& call) {
            const Query query = query_of(call.head.query);
            const bool stream = value_of(query, "stream") == "true" ||
                                call.head.header("Accept").find("text/event-stream") != std::string_view::npos;
            return [&service, stream, query, id = std::string(call.parameter("id")),
                    last = std::string(call.head.header("Last-Event-ID"))](const std::string&, Routed::Reply reply) {
              stream ? stream_events(service, id, last, std::move(reply))
                     : list_events(service, id, query, std::move(reply));
            };
          },
          kEventQuery),
      read(routes.checkpoints, "The model of a finished job as a checkpoint", kPage,
           [&service](const Call& call) {
             return [&service, id = std::string(call.parameter("id"))](const std::string&, Routed::Reply reply) {
               list_checkpoints(service, id, std::move(reply));
             };
           }),
      change_route(service, routes, routes.cancel, "Ends a job for good", "job.cancel", "cancelled",
                   [](JobStore& store, const std::string& id, const AuditEntry& audit) {
                     return store.advance(id, {kValidating, kQueued, kRunning, kPaused}, kCancelled,
                                          "The job has been cancelled", audit);
                   }),
      change_route(service, routes, routes.pause, "Stops a job at a checkpoint, until it is resumed", "job.pause",
                   "paused",
                   [](JobStore& store, const std::string& id, const AuditEntry& audit) {
                     return store.advance(id, {kQueued, kRunning}, kPaused, "The job has been paused", audit);
                   }),
      change_route(service, routes, routes.resume, "Goes on with a paused job", "job.resume", "resumed",
                   [](JobStore& store, const std::string& id, const AuditEntry& audit) {
                     return store.advance(id, {kPaused}, kQueued, "The job waits to be resumed", audit);
                   }),
  };
}

}  // namespace qing::serve::protocols
