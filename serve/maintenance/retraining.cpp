#include "retraining.h"

#include <utility>

namespace qing::serve {

bool due(const RetrainingPlan& plan, std::int64_t now, std::int64_t new_texts) {
  return now - plan.started >= plan.every && new_texts >= plan.least;
}

std::vector<RetrainingPlan> RetrainingPlans::select(const std::string& model, const std::string& project) {
  Statement row = database_.prepare(
      "SELECT model, project, key, every, least, started, feedback FROM retraining "
      "WHERE ?1 = '' OR (model = ?1 AND project = ?2) ORDER BY model, project");
  row.bind(1, model).bind(2, project);
  std::vector<RetrainingPlan> plans;
  while (row.step()) {
    plans.push_back(
        {row.text(0), row.text(1), row.text(2), row.number(3), row.number(4), row.number(5), row.number(6)});
  }
  return plans;
}

std::vector<RetrainingPlan> RetrainingPlans::all() { return select({}, {}); }

std::optional<RetrainingPlan> RetrainingPlans::find(const std::string& model, const std::string& project) {
  std::vector<RetrainingPlan> found = select(model, project);
  return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

void RetrainingPlans::put(const RetrainingPlan& plan) {
  database_.prepare("INSERT OR REPLACE INTO retraining VALUES(?, ?, ?, ?, ?, ?, ?)")
      .bind_all(plan.model, plan.project, plan.key, plan.every, plan.least, plan.started, plan.feedback)
      .run();
}

bool RetrainingPlans::remove(const std::string& model, const std::string& project) {
  return database_.prepare("DELETE FROM retraining WHERE model = ? AND project = ? RETURNING 1")
      .bind_all(model, project)
      .changes();
}

bool RetrainingPlans::advance(const RetrainingPlan& before, const RetrainingPlan& after) {
  return database_
      .prepare(
          "UPDATE retraining SET started = ?, feedback = ? WHERE model = ? AND project = ? AND started = ? AND "
          "feedback = ? RETURNING 1")
      .bind_all(after.started, after.feedback, before.model, before.project, before.started, before.feedback)
      .changes();
}

}  // namespace qing::serve
