// A trial that goes on by itself: a growing share of the callers, and the conditions under which it ends early.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/common/database.h>
#include <qing/serve/monitoring/version_statistics.h>

namespace qing::serve {

/// Conditions that end a trial. Each counts only once there are enough requests to tell: see judge_trial().
struct TrialLimits {
  std::optional<double> error_rate = {};      ///< share of failed requests of the version on trial, at most
  std::optional<double> latency_factor = {};  ///< its mean time over that of the active version, at most
  std::optional<double> agreement = {};       ///< share of texts to which both versions give one label, at least
  std::optional<double> drift = {};           ///< population stability index between the labels of both, at most
};

struct TrialPlan {
  enum class Phase { kRunning, kEnding, kPromoting };
  std::string model = {};
  std::int64_t version = 0;        ///< on trial
  std::vector<double> steps = {};  ///< shares of the callers, ascending
  double minutes_each = 60;
  std::int64_t requests_each = 30;  ///< answered by the version on trial before it goes on
  TrialLimits limits = {};
  std::string key = {}, project = {};  ///< who began it

  size_t step = 0;
  std::int64_t step_started = 0;  ///< seconds since 1970 (UTC)
  Phase phase = Phase::kRunning;
  std::string reason = {};  ///< why it ends
};

/// What happened since the step began, or since the server started if that was later.
struct TrialReading {
  VersionCounts trial = {}, active = {};
  std::int64_t compared = 0, agreed = 0;  ///< texts answered by both versions
  std::int64_t drift_texts = 0;           ///< the fewer of both versions' texts behind `drift`
  double drift = 0;
};

struct TrialVerdict {
  enum class Action { kStay, kNext, kPromote, kEnd };
  Action action = Action::kStay;
  std::string reason = {};
};

/// An error rate counts from 10 requests, and when the lower end of its 95% interval (Wilson) is above the limit.
/// Agreement counts from 30 texts, by the upper end of its interval. Latency counts from 30 requests of each version,
/// drift from 200 texts of each. A step ends after its minutes, when the version on trial has answered requests_each.
TrialVerdict judge_trial(const TrialPlan& plan, const TrialReading& reading, std::int64_t now);

/// {"steps", "minutes_each", "requests_each", "rollback"}
std::string to_json(const TrialPlan& plan);

/// The plans in the state's database. For one thread, as its Database is. All functions throw IoError, and find()
/// throws DataError for a plan of another qing.
class TrialPlans {
 public:
  explicit TrialPlans(Database& database) : database_(database) {}

  std::vector<std::string> models();  ///< that have a plan
  std::optional<TrialPlan> find(const std::string& model);
  /// Replaces any plan of the model.
  void put(const TrialPlan& plan);
  /// Stores step, phase and reason if the plan is still as `before` says, and says whether it was: another server may
  /// have been faster. The caller holds the transaction.
  bool advance(const TrialPlan& before, const TrialPlan& after);
  void remove(const std::string& model);

 private:
  Database& database_;
};

}  // namespace qing::serve
