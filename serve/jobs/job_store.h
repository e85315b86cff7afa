// The records of training jobs: a state machine in the state's database.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/common/database.h>
#include <qing/serve/jobs/training_job.h>
#include <qing/serve/state/audit.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

/// What happened to a job.
struct JobEvent {
  std::int64_t number = 0;  ///< from 1 in each job
  std::int64_t created = 0;
  std::string level = "info";    ///< or "warn", "error"
  std::string type = "message";  ///< or "metrics"
  std::string message;
  std::string data = "null";  ///< JSON
};

/// A project has as many unfinished jobs as it may have. what() names the option that allows more.
class TooManyJobs : public Error {
 public:
  using Error::Error;
};

/// Every function but add() is one transaction. A change that the status does not allow changes nothing. For one
/// thread, as its Database is. IoError.
class JobStore {
 public:
  explicit JobStore(Database& database) : database_(database) {}

  /// Records a new job, whose number, id, model and time of creation are set here; `suffix` becomes a part of the
  /// model's name. With an idempotency key that the project has used, returns the job that was made with it: ValueError
  /// if that was made by another request, which `request` stands for. `key` is the id of the caller's key, for the
  /// audit log. TooManyJobs as require_room().
  TrainingJob create(TrainingJob job, const std::string& suffix, const std::string& idempotency_key,
                     const std::string& request, const std::string& key = {}, size_t most_unfinished = 0);
  /// What create() does without an idempotency key, in the caller's transaction.
  TrainingJob add(TrainingJob job, const std::string& suffix, const std::string& key, size_t most_unfinished);
  /// TooManyJobs when `most` jobs of the project are kValidating, kQueued, kRunning or kPaused. 0: any number may be.
  void require_room(const std::string& project, size_t most);
  /// Nothing for a job of another project.
  std::optional<TrainingJob> find(const std::string& project, const std::string& id);
  std::optional<TrainingJob> find(const std::string& id);

  template <class Item> struct Page {
    std::vector<Item> items;
    bool more = false;
  };
  /// The newest first, after the job `after` unless that is empty. Only jobs whose metadata has all of `metadata`.
  /// ValueError when there is no job `after` in the project.
  Page<TrainingJob> list(const std::string& project, const std::string& after, std::int64_t limit,
                         const std::map<std::string, std::string>& metadata);
  /// The newest first, those before number `before`; 0: all.
  Page<JobEvent> events(const std::string& id, std::int64_t before, std::int64_t limit);
  /// The oldest first, those after number `after`.
  std::vector<JobEvent> events_after(const std::string& id, std::int64_t after, std::int64_t limit);
  /// Adds an event: a level as JobEvent has it, and a message.
  void tell(const std::string& id, const std::string& level, const std::string& message);
  /// When the job got its first event with this message, in seconds since 1970; 0 without one.
  std::int64_t first_event(const std::string& id, const std::string& message);

  /// Changes the status if it is one of `from`, and says whether it was. `message` becomes an event. `audit` is logged
  /// if the status was changed.
  bool advance(const std::string& id, std::initializer_list<JobStatus> from, JobStatus to, const std::string& message,
               const std::optional<AuditEntry>& audit = {});
  /// kQueued with the plan of validation: the resolved hyperparameters (JSON) and the number of steps.
  bool validated(const std::string& id, const std::string& hyperparameters, std::int64_t steps,
                 const std::string& message);
  bool fail(const std::string& id, const JobError& error);
  bool succeed(const TrainingJob& job);  ///< with its trained_tokens, result_file and outcome
  /// New metrics of a running job, with their events.
  void progress(const std::string& id, std::int64_t step, std::int64_t estimated_finish,
                const std::vector<JobEvent>& events);
  /// An attempt has ended.
  void add_attempt(const std::string& id, std::int64_t milliseconds, bool failed);

  /// Jobs with one of these statuses, of all projects: first those that were begun, then by age.
  std::vector<std::string> waiting(std::initializer_list<JobStatus> statuses);
  /// The number of jobs with this status, of all projects.
  std::int64_t count(JobStatus status);
  /// Models of jobs that ended otherwise than in success.
  std::vector<std::string> unwanted_models();
  JobStatus status(const std::string& id);  ///< kCancelled without such a job

  /// What the jobs of a project have used in all.
  struct Usage {
    std::int64_t jobs = 0, milliseconds = 0, tokens = 0;
  };
  Usage usage(const std::string& project);

 private:
  TrainingJob read(const Statement& row) const;
  TrainingJob insert(TrainingJob job, const std::string& suffix, const std::string& idempotency_key,
                     const std::string& request, const std::string& key, size_t most_unfinished);
  void insert_event(const std::string& id, const JobEvent& event);

  Database& database_;
};

/// Seconds since 1970 (UTC).
std::int64_t job_time();

}  // namespace qing::serve
