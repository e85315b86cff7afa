#include "job_json.h"

#include <charconv>
#include <system_error>

#include <fmt/format.h>

namespace qing::serve {
namespace {

void time_member(JsonWriter& json, std::string_view name, std::int64_t time) {
  json.key(name);
  time == 0 ? json.raw("null") : json.value(time);
}

void text_member(JsonWriter& json, std::string_view name, const std::string& text) {
  json.key(name);
  text.empty() ? json.raw("null") : json.value(text);
}

}  // namespace

void write_job(JsonWriter& json, const TrainingJob& job) {
  const bool succeeded = job.status == JobStatus::kSucceeded;
  json.begin_object().member("id", job.id).member("object", "fine_tuning.job").member("created_at", job.created);
  json.key("error");
  if (job.error) {
    json.begin_object().member("code", job.error->code).member("message", job.error->message);
    text_member(json, "param", job.error->param);
    json.end();
  } else {
    json.raw("null");
  }
  text_member(json, "fine_tuned_model", succeeded ? job.model : "");
  time_member(json, "finished_at", job.finished);
  json.key("hyperparameters").raw(job.hyperparameters);
  json.key("method").begin_object().member("type", "supervised").key("supervised").begin_object();
  json.key("hyperparameters").raw(job.hyperparameters).end().end();
  json.member("model", job.base).member("organization_id", job.project).member("status", status_name(job.status));
  json.key("result_files").begin_array();
  if (!job.result_file.empty()) json.value(job.result_file);
  json.end().member("seed", job.seed);
  json.key("trained_tokens");
  succeeded ? json.value(job.trained_tokens) : json.raw("null");
  json.member("training_file", job.training_file);
  text_member(json, "validation_file", job.validation_file);
  json.key("integrations").begin_array().end().key("metadata").raw(job.metadata);
  time_member(json, "estimated_finish", job.estimated_finish);
  json.key("progress").begin_object().member("step", job.step).member("steps", job.steps).end();
  json.key("options").raw(job.options).key("outcome").raw(job.outcome).end();
}

std::string event_id(std::string_view job, std::int64_t number) {
  return fmt::format("ftevent-{}-{}", job.substr(job.find('-') + 1), number);
}

std::int64_t event_number(std::string_view job, std::string_view id) {
  std::int64_t number = 0;
  const size_t dash = id.rfind('-');
  if (dash == id.npos) return 0;
  std::from_chars(id.data() + dash + 1, id.data() + id.size(), number);
  return number > 0 && id == event_id(job, number) ? number : 0;
}

void write_event(JsonWriter& json, const std::string& job, const JobEvent& event) {
  json.begin_object().member("id", event_id(job, event.number)).member("object", "fine_tuning.job.event");
  json.member("created_at", event.created).member("level", event.level).member("message", event.message);
  json.member("type", event.type).key("data").raw(event.data).end();
}

std::string server_sent(const std::string& job, const JobEvent& event) {
  JsonWriter json;
  write_event(json, job, event);
  return fmt::format("id: {}\ndata: {}\n\n", event_id(job, event.number), json.take());
}

}  // namespace qing::serve
