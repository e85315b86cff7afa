// Runs the training jobs of a state folder, each in a process of its own, and serves the models they make.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <qing/serve/common/database.h>
#include <qing/serve/http/body_stream.h>
#include <qing/serve/jobs/cluster_error.h>
#include <qing/serve/jobs/job_options.h>
#include <qing/serve/jobs/job_store.h>
#include <qing/serve/jobs/model_owners.h>
#include <qing/serve/jobs/worker_process.h>
#include <qing/serve/registry/registry.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

/// Several runners, in several processes, may share a state: a job runs in one of them. What a kill interrupts goes on
/// from the job's last checkpoint, in any of them. Thread-safe, but for start() and stop().
class JobRunner {
 public:
  /// For which the end of a failed job's log is kept, and its model if that was trained.
  static constexpr std::int64_t kLogDays = 30;
  static constexpr size_t kMostLog = size_t{1} << 16;  ///< bytes of the log

  /// Models of finished jobs are served by `registry`, whose second root is State::models(). Reads whose they are:
  /// IoError, DataError. Throws as check_kubernetes() for options of Kubernetes.
  JobRunner(std::shared_ptr<const State> state, std::shared_ptr<Registry> registry, JobOptions options);
  /// Stops, as stop() does.
  ~JobRunner();
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  void start();
  /// Ends the followers' streams, and the running jobs at a checkpoint. They go on at the next start.
  void stop();
  /// Begins what stop() waits for.
  void begin_stop();
  bool accepts_jobs() const { return !options_.worker.empty() && options_.at_once > 0; }
  /// How many unfinished jobs a project may have; 0: any number.
  size_t most_unfinished() const { return options_.unfinished; }
  const JobOptions& options() const { return options_; }
  /// Looks for new jobs at once.
  void wake();
  /// Writes the job's events after number `after` to the stream as server-sent events, until the job is final.
  void follow(const std::string& job, std::int64_t after, std::shared_ptr<BodyStream> stream);
  /// Serves a job's model no more, and removes it. IoError; ValueError while an alias points to it.
  void remove_model(Database& database, const std::string& name);
  ModelOwners& owners() { return owners_; }

 private:
  enum class Stage { kPrepare, kTrain };
  struct Follower {
    std::string job;
    std::int64_t after;
    std::shared_ptr<BodyStream> stream;
    std::chrono::steady_clock::time_point sent;
  };

  /// Growing waits between attempts.
  struct Rest {
    std::chrono::milliseconds wait{0};
    std::chrono::steady_clock::time_point until;
    size_t count = 0;
    void lengthen(std::chrono::milliseconds first);
  };

  void work(Stage stage);
  bool run_one(Database& database, Stage stage);
  void prepare(Database& database, const TrainingJob& job, const JobLock& lock);
  void train(Database& database, const TrainingJob& job, const JobLock& lock);
  std::unique_ptr<JobWorker> worker_for(Database& database, const TrainingJob& job, const std::string& stage,
                                        const JobLock& lock);
  std::unique_ptr<JobWorker> cluster_worker_for(Database& database, const TrainingJob& job,
                                                const std::function<void()>& tell_goes_on);
  void cancel_on_cluster(const JobFolder& folder);
  void forget_end(const JobFolder& folder);
  std::optional<WorkerEnd> attend(Database& database, const TrainingJob& job, const std::string& stage,
                                  const JobLock& lock);
  void settle_end(Database& database, const TrainingJob& job, const WorkerEnd& end, std::chrono::milliseconds spent);
  void settle_failure(Database& database, const TrainingJob& job, const WorkerEnd& end);
  void finish(Database& database, TrainingJob job);
  bool is_trained(const TrainingJob& job) const;
  bool rest(JobStore& store, const TrainingJob& job);
  void put_off(JobStore& store, const TrainingJob& job, const ClusterError& error);
  void give_up(Database& database, const TrainingJob& job, JobError error);
  bool rests(const std::string& id);
  void watch();
  void tidy_up();
  void share_models();
  void share_model(const std::string& name);
  void remove_finished(Database& database);
  bool remove_work(Database& database, const std::string& id);
  void feed(Database& database, Follower& follower);
  bool stopping();
  void pause(std::chrono::milliseconds time);

  const std::shared_ptr<const State> state_;
  const std::shared_ptr<Registry> registry_;
  const JobOptions options_;
  ModelOwners owners_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::uint64_t wakes_ = 0;
  bool stopping_ = false;
  std::list<Follower> followers_;         // moved out while they are fed
  std::map<std::string, Rest> rests_;     // of trained jobs that could not be finished yet, by id
  std::map<std::string, Rest> unasked_;   // of jobs that no cluster could be given yet, by id
  std::map<std::string, Rest> unshared_;  // of models that could not be loaded, by name; for watch() alone
  /// When watch() looks at the folder of a finished job again.
  std::map<std::string, std::chrono::steady_clock::time_point> kept_;
  std::vector<std::thread> threads_;
};

}  // namespace qing::serve
