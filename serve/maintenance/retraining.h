// Retraining of models on a schedule, from feedback whose texts are kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/common/database.h>

namespace qing::serve {

struct RetrainingPlan {
  std::string model = {};     ///< that the training begins with
  std::string project = {};   ///< whose feedback is used, and which owns the result
  std::string key = {};       ///< who made the plan
  std::int64_t every = 0;     ///< seconds from one training to the next, at least
  std::int64_t least = 0;     ///< kept texts since the last training, at least
  std::int64_t started = 0;   ///< when the last training, or the plan, began; seconds since 1970
  std::int64_t feedback = 0;  ///< number of the last feedback that was used
};

/// Whether a training is due at `now`, with so many new kept texts.
bool due(const RetrainingPlan& plan, std::int64_t now, std::int64_t new_texts);

/// The plans in the state's database. For one thread, as its Database is. All functions throw IoError.
class RetrainingPlans {
 public:
  explicit RetrainingPlans(Database& database) : database_(database) {}

  std::vector<RetrainingPlan> all();
  std::optional<RetrainingPlan> find(const std::string& model, const std::string& project);
  /// Replaces any plan of the project for the model.
  void put(const RetrainingPlan& plan);
  bool remove(const std::string& model, const std::string& project);  ///< Whether there was one.
  /// Stores `started` and `feedback` if they are still as `before` says, and says whether they were: another server may
  /// have been faster, and the plan may be gone.
  bool advance(const RetrainingPlan& before, const RetrainingPlan& after);

 private:
  std::vector<RetrainingPlan> select(const std::string& model, const std::string& project);
  Database& database_;
};

}  // namespace qing::serve
