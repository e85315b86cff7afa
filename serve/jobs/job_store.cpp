#include "job_store.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <qing/serve/common/random_id.h>

namespace qing::serve {
namespace {

constexpr std::string_view kJobColumns =
    "number, id, project, status, created, finished, estimated_finish, base, base_version, model, training_file, "
    "validation_file, seed, metadata, hyperparameters, options, error_code, error_message, error_param, "
    "trained_tokens, result_file, step, steps, failures, milliseconds, outcome";

std::string select(std::string_view condition) { return fmt::format("SELECT {} FROM jobs {}", kJobColumns, condition); }

std::string quoted(std::initializer_list<JobStatus> statuses) {
  std::vector<std::string> names;
  for (const JobStatus status : statuses) names.push_back(fmt::format("'{}'", status_name(status)));
  return fmt::format("({})", fmt::join(names, ","));
}

JobEvent message_event(std::string message, std::string level = "info") {
  JobEvent event;
  event.level = std::move(level);
  event.message = std::move(message);
  return event;
}

JobEvent event_of(const Statement& row) {
  return {row.number(0), row.number(1), row.text(2), row.text(3), row.text(4), row.text(5)};
}

// The rows of a query that asks for one more than `limit`, which tells whether there are more.
template <class Item, class Read> JobStore::Page<Item> page_of(Statement& query, std::int64_t limit, Read read) {
  JobStore::Page<Item> page;
  while (query.step()) page.items.push_back(read(query));
  page.more = static_cast<std::int64_t>(page.items.size()) > limit;
  if (page.more) page.items.pop_back();
  return page;
}

}  // namespace

std::int64_t job_time() {
  using std::chrono::system_clock, std::chrono::seconds;
  return std::chrono::floor<seconds>(system_clock::now()).time_since_epoch().count();
}

TrainingJob JobStore::read(const Statement& row) const {
  TrainingJob job;
  int column = 0;
  job.number = row.number(column++);
  job.id = row.text(column++);
  job.project = row.text(column++);
  job.status = status_of(row.text(column++));
  for (std::int64_t* time : {&job.created, &job.finished, &job.estimated_finish}) *time = row.number(column++);
  job.base = row.text(column++);
  job.base_version = row.number(column++);
  for (std::string* text : {&job.model, &job.training_file, &job.validation_file}) *text = row.text(column++);
  job.seed = row.number(column++);
  for (std::string* text : {&job.metadata, &job.hyperparameters, &job.options}) *text = row.text(column++);
  JobError error;
  for (std::string* text : {&error.code, &error.message, &error.param}) *text = row.text(column++);
  if (!error.code.empty()) job.error = std::move(error);
  job.trained_tokens = row.number(column++);
  job.result_file = row.text(column++);
  for (std::int64_t* count : {&job.step, &job.steps, &job.failures, &job.milliseconds}) *count = row.number(column++);
  job.outcome = row.text(column++);
  return job;
}

TrainingJob JobStore::create(TrainingJob job, const std::string& suffix, const std::string& idempotency_key,
                             const std::string& request, const std::string& key, size_t most_unfinished) {
  Transaction transaction(database_);
  if (!idempotency_key.empty()) {
    Statement same = database_.prepare("SELECT id, request FROM jobs WHERE project = ? AND idempotency_key = ?");
    same.bind(1, job.project).bind(2, idempotency_key);
    if (same.step()) {
      if (same.text(1) != request) {
        throw ValueError("Idempotency-Key: was sent with another request; take a new key for a new job");
      }
      return *find(same.text(0));
    }
  }
  job = insert(std::move(job), suffix, idempotency_key, request, key, most_unfinished);
  transaction.commit();
  return job;
}

TrainingJob JobStore::add(TrainingJob job, const std::string& suffix, const std::string& key, size_t most_unfinished) {
  return insert(std::move(job), suffix, {}, {}, key, most_unfinished);
}

// Inside a transaction, whose lock keeps others from taking the room.
TrainingJob JobStore::insert(TrainingJob job, const std::string& suffix, const std::string& idempotency_key,
                             const std::string& request, const std::string& key, size_t most_unfinished) {
  require_room(job.project, most_unfinished);
  job.id = "ftjob-" + random_characters(24);
  job.model = model_name(job.base, suffix, job.id);
  job.created = job_time();
  job.status = JobStatus::kValidating;
  Statement insert = database_.prepare(
      "INSERT INTO jobs(id, project, status, created, base, base_version, model, training_file, validation_file, seed, "
      "metadata, hyperparameters, options, idempotency_key, request) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  insert.bind(1, job.id).bind(2, job.project).bind(3, status_name(job.status));
  insert.bind(4, job.created).bind(5, job.base).bind(6, job.base_version);
  insert.bind(7, job.model).bind(8, job.training_file).bind(9, job.validation_file);
  insert.bind(10, job.seed).bind(11, job.metadata).bind(12, job.hyperparameters);
  insert.bind(13, job.options).bind(14, idempotency_key).bind(15, request);
  insert.run();
  insert_event(job.id, message_event(fmt::format("Created fine-tuning job: {}", job.id)));
  insert_event(job.id, message_event(fmt::format("Validating training file: {}", job.training_file)));
  job = *find(job.id);
  record(database_, {.key = key,
                     .project = job.project,
                     .action = "job.create",
                     .object = job.id,
                     .detail = fmt::format("model {}", job.model)});
  return job;
}

void JobStore::require_room(const std::string& project, size_t most) {
  if (most == 0) return;
  Statement query = database_.prepare(
      fmt::format("SELECT count(*) FROM jobs WHERE project = ? AND status IN {}",
                  quoted({JobStatus::kValidating, JobStatus::kQueued, JobStatus::kRunning, JobStatus::kPaused})));
  query.bind(1, project);
  query.step();
  if (query.number(0) < static_cast<std::int64_t>(most)) return;
  throw TooManyJobs(
      fmt::format("the project has {} unfinished jobs and may have {}: wait for one or cancel one; the operator raises "
                  "the limit by "
                  "--unfinished-jobs",
                  query.number(0), most));
}

std::optional<TrainingJob> JobStore::find(const std::string& id) {
  Statement query = database_.prepare(select("WHERE id = ?"));
  query.bind(1, id);
  return query.step() ? std::optional(read(query)) : std::nullopt;
}

std::optional<TrainingJob> JobStore::find(const std::string& project, const std::string& id) {
  std::optional<TrainingJob> job = find(id);
  return job && job->project == project ? job : std::nullopt;
}

JobStore::Page<TrainingJob> JobStore::list(const std::string& project, const std::string& after, std::int64_t limit,
                                           const std::map<std::string, std::string>& metadata) {
  std::string condition = "WHERE project = ?";
  if (!after.empty()) condition += " AND number < ?";
  for (size_t i = 0; i < metadata.size(); ++i) {
    condition += " AND EXISTS (SELECT 1 FROM json_each(jobs.metadata) WHERE key = ? AND value = ?)";
  }
  Statement query = database_.prepare(select(condition + " ORDER BY number DESC LIMIT ?"));
  int column = 0;
  query.bind(++column, project);
  if (!after.empty()) {
    const std::optional<TrainingJob> last = find(project, after);
    if (!last) throw ValueError("after: there is no such job");
    query.bind(++column, last->number);
  }
  for (const auto& [key, value] : metadata) {
    query.bind(++column, key);
    query.bind(++column, value);
  }
  query.bind(++column, limit + 1);
  return page_of<TrainingJob>(query, limit, [this](const Statement& row) { return read(row); });
}

JobStore::Page<JobEvent> JobStore::events(const std::string& id, std::int64_t before, std::int64_t limit) {
  Statement query = database_.prepare(
      "SELECT number, created, level, type, message, data FROM job_events WHERE job = ? AND (? = 0 OR number < ?) "
      "ORDER BY number DESC LIMIT ?");
  query.bind(1, id).bind(2, before).bind(3, before).bind(4, limit + 1);
  return page_of<JobEvent>(query, limit, event_of);
}

std::vector<JobEvent> JobStore::events_after(const std::string& id, std::int64_t after, std::int64_t limit) {
  Statement query = database_.prepare(
      "SELECT number, created, level, type, message, data FROM job_events WHERE job = ? AND number > ? "
      "ORDER BY number LIMIT ?");
  query.bind(1, id).bind(2, after).bind(3, limit);
  std::vector<JobEvent> events;
  while (query.step()) events.push_back(event_of(query));
  return events;
}

// Inside a transaction.
void JobStore::insert_event(const std::string& id, const JobEvent& event) {
  Statement insert = database_.prepare(
      "INSERT INTO job_events(job, number, created, level, type, message, data) VALUES "
      "(?1, (SELECT coalesce(max(number), 0) + 1 FROM job_events WHERE job = ?1), ?2, ?3, ?4, ?5, ?6)");
  insert.bind(1, id).bind(2, event.created == 0 ? job_time() : event.created).bind(3, event.level);
  insert.bind(4, event.type).bind(5, event.message).bind(6, event.data);
  insert.run();
}

void JobStore::tell(const std::string& id, const std::string& level, const std::string& message) {
  JobEvent event;
  event.level = level;
  event.message = message;
  Transaction transaction(database_);
  insert_event(id, event);
  transaction.commit();
}

std::int64_t JobStore::first_event(const std::string& id, const std::string& message) {
  Statement query = database_.prepare("SELECT coalesce(min(created), 0) FROM job_events WHERE job = ? AND message = ?");
  query.bind_all(id, message);
  query.step();
  return query.number(0);
}

bool JobStore::advance(const std::string& id, std::initializer_list<JobStatus> from, JobStatus to,
                       const std::string& message, const std::optional<AuditEntry>& audit) {
  Transaction transaction(database_);
  Statement update = database_.prepare(fmt::format(
      "UPDATE jobs SET status = ?, finished = ?, estimated_finish = 0 WHERE id = ? AND status IN {}", quoted(from)));
  update.bind(1, status_name(to)).bind(2, is_final(to) ? job_time() : 0).bind(3, id);
  update.run();
  const bool changed = database_.number("SELECT changes()") > 0;
  if (changed && !message.empty()) insert_event(id, message_event(message));
  if (changed && audit) record(database_, *audit);
  transaction.commit();
  return changed;
}

bool JobStore::validated(const std::string& id, const std::string& hyperparameters, std::int64_t steps,
                         const std::string& message) {
  Transaction transaction(database_);
  Statement update = database_.prepare(
      "UPDATE jobs SET status = 'queued', hyperparameters = ?, steps = ? WHERE id = ? AND status = 'validating_files'");
  update.bind(1, hyperparameters).bind(2, steps).bind(3, id);
  update.run();
  const bool changed = database_.number("SELECT changes()") > 0;
  if (changed) insert_event(id, message_event(message));
  transaction.commit();
  return changed;
}

bool JobStore::fail(const std::string& id, const JobError& error) {
  Transaction transaction(database_);
  Statement update = database_.prepare(
      "UPDATE jobs SET status = 'failed', finished = ?, estimated_finish = 0, error_code = ?, error_message = ?, "
      "error_param = ? WHERE id = ? AND status IN ('validating_files', 'queued', 'running')");
  update.bind(1, job_time()).bind(2, error.code).bind(3, error.message).bind(4, error.param).bind(5, id);
  update.run();
  const bool changed = database_.number("SELECT changes()") > 0;
  if (changed) insert_event(id, message_event(fmt::format("The job failed: {}", error.message), "error"));
  transaction.commit();
  return changed;
}

bool JobStore::succeed(const TrainingJob& job) {
  Transaction transaction(database_);
  Statement update = database_.prepare(
      "UPDATE jobs SET status = 'succeeded', finished = ?, estimated_finish = 0, trained_tokens = ?, result_file = ?, "
      "outcome = ? WHERE id = ? AND status = 'running'");
  update.bind(1, job_time()).bind(2, job.trained_tokens).bind(3, job.result_file).bind(4, job.outcome).bind(5, job.id);
  update.run();
  const bool changed = database_.number("SELECT changes()") > 0;
  if (changed) {
    insert_event(job.id, message_event(fmt::format("New fine-tuned model created: {}", job.model)));
    insert_event(job.id, message_event("The job has successfully completed"));
  }
  transaction.commit();
  return changed;
}

void JobStore::progress(const std::string& id, std::int64_t step, std::int64_t estimated_finish,
                        const std::vector<JobEvent>& events) {
  Transaction transaction(database_);
  Statement update = database_.prepare(
      "UPDATE jobs SET step = max(step, ?), estimated_finish = ? WHERE id = ? AND status = 'running'");
  update.bind(1, step).bind(2, estimated_finish).bind(3, id);
  update.run();
  for (const JobEvent& event : events) insert_event(id, event);
  transaction.commit();
}

void JobStore::add_attempt(const std::string& id, std::int64_t milliseconds, bool failed) {
  Statement update =
      database_.prepare("UPDATE jobs SET milliseconds = milliseconds + ?, failures = failures + ? WHERE id = ?");
  update.bind(1, milliseconds).bind(2, failed ? 1 : 0).bind(3, id);
  update.run();
}

std::vector<std::string> JobStore::waiting(std::initializer_list<JobStatus> statuses) {
  Statement query = database_.prepare(
      fmt::format("SELECT id FROM jobs WHERE status IN {} ORDER BY status <> 'running', number", quoted(statuses)));
  std::vector<std::string> ids;
  while (query.step()) ids.push_back(query.text(0));
  return ids;
}

std::int64_t JobStore::count(JobStatus status) {
  Statement query = database_.prepare("SELECT count(*) FROM jobs WHERE status = ?");
  query.bind(1, status_name(status));
  query.step();
  return query.number(0);
}

std::vector<std::string> JobStore::unwanted_models() {
  Statement query = database_.prepare(
      "SELECT models.name FROM models JOIN jobs ON jobs.id = models.job WHERE jobs.status IN ('failed', 'cancelled')");
  std::vector<std::string> names;
  while (query.step()) names.push_back(query.text(0));
  return names;
}

JobStatus JobStore::status(const std::string& id) {
  Statement query = database_.prepare("SELECT status FROM jobs WHERE id = ?");
  query.bind(1, id);
  return query.step() ? status_of(query.text(0)) : JobStatus::kCancelled;
}

JobStore::Usage JobStore::usage(const std::string& project) {
  Statement query = database_.prepare(
      "SELECT count(*), coalesce(sum(milliseconds), 0), coalesce(sum(trained_tokens), 0) FROM jobs WHERE project = ?");
  query.bind(1, project);
  query.step();
  return {query.number(0), query.number(1), query.number(2)};
}

}  // namespace qing::serve
