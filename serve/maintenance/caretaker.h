// The thread that looks after the models: automatic trials, reports and retraining.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <qing/serve/common/database.h>
#include <qing/serve/common/statistics.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/maintenance/model_report.h>
#include <qing/serve/maintenance/retraining.h>
#include <qing/serve/maintenance/trial_plan.h>
#include <qing/serve/maintenance/webhook.h>
#include <qing/serve/monitoring/drift_monitor.h>
#include <qing/serve/monitoring/version_statistics.h>
#include <qing/serve/registry/registry.h>
#include <qing/serve/state/audit.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

/// What the caretaker looks at and changes. All of it outlives the caretaker.
struct CaretakerSources {
  Registry& registry;
  const DriftMonitor& drift;
  const VersionStatistics& versions;
  Statistics& statistics;
};

/// Removes files whose time is over, too. Does nothing while the state's database does not exist and there is no
/// webhook. Each plan is followed on its own: one that fails is logged and audited once, the others go on, and the next
/// round tries it again. A clock that is set back makes a step of a trial begin again, and the time to a retraining.
/// Several servers may share the state: each step of a trial and each retraining happens once. Thread-safe.
class Caretaker {
 public:
  using Clock = std::function<std::int64_t()>;  ///< seconds since 1970
  static std::int64_t system_time();
  /// Notes that the feedback of a plan is used. False when another server was faster: nothing must be made then.
  using Take = std::function<bool()>;
  /// Starts a training on feedback and returns the id of its job. It calls `take` in the transaction that makes the
  /// job, so that a kill neither loses the feedback nor uses it twice. Returns an empty text when `take` returned
  /// false.
  using Train =
      std::function<std::string(Database&, const RetrainingPlan&, const std::vector<Feedback>&, const Take& take)>;
  static constexpr std::int64_t kReportSeconds = 60;
  static constexpr size_t kMostExpired = 200;             ///< expired files looked at in kReportSeconds
  static constexpr std::int64_t kMostFeedback = 100'000;  ///< texts of one training

  /// Null `webhook`: nobody is told. Null `train`: nothing is trained.
  Caretaker(std::shared_ptr<const State> state, CaretakerSources sources, std::unique_ptr<Webhook> webhook,
            Train train = nullptr, Clock clock = system_time);
  /// Stops, as stop() does.
  ~Caretaker();
  Caretaker(const Caretaker&) = delete;
  Caretaker& operator=(const Caretaker&) = delete;

  /// Looks every `period` from now on, on a thread of its own.
  void start(std::chrono::milliseconds period = std::chrono::seconds(1));
  void stop();
  /// Looks once, on the caller's thread. Not while the thread of start() runs. IoError, DataError.
  void look();

 private:
  struct Baseline {
    std::int64_t version;
    size_t step;
    VersionCounts trial, active;
    std::int64_t compared, agreed;
  };
  void work(std::chrono::milliseconds period);
  void attempt(AuditEntry entry, const std::function<void(AuditEntry&)>& step);
  void follow(Database& database, const TrialPlan& plan);
  void decide(Database& database, const TrialPlan& plan, const Model& model);
  bool advance(Database& database, const TrialPlan& before, const TrialPlan& after, const std::string& action,
               const std::string& detail);
  void finish(Database& database, const TrialPlan& plan);
  TrialReading read(const TrialPlan& plan, const Model& model);
  void report(Database& database);
  void retrain(Database& database, const RetrainingPlan& plan);
  void tell(std::string_view type, const TrialPlan& plan, const std::string& detail);

  const std::shared_ptr<const State> state_;
  const CaretakerSources sources_;
  const std::unique_ptr<Webhook> webhook_;
  const Train train_;
  const Clock clock_;
  std::optional<Database> database_;
  std::map<std::string, Baseline> baselines_;                            // by model
  std::map<std::string, std::set<std::string>> told_;                    // codes of reasons, by model
  std::set<std::tuple<std::string, std::string, std::string>> failing_;  // action, object and project
  std::int64_t reported_ = 0;
  FileStore::SweepPlace sweep_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

/// The report on the active version of a model.
ModelReport report_on(const Model& model, const DriftMonitor& drift, FeedbackStore& feedback, std::int64_t now);

}  // namespace qing::serve
