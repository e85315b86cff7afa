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
      .bind(1, plan.model)
      .bind(2, plan.project)
      .bind(3, plan.key)
      .bind(4, plan.every)
      .bind(5, plan.least)
      .bind(6, plan.started)
      .bind(7, plan.feedback)
      .run();
}

bool RetrainingPlans::remove(const std::string& model, const std::string& project) {
  Statement row = database_.prepare("DELETE FROM retraining WHERE model = ? AND project = ? RETURNING 1");
  row.bind(1, model).bind(2, project);
  const bool found = row.step();
  if (found) row.run();
  return found;
}

bool RetrainingPlans::begin(const RetrainingPlan& plan, std::int64_t now, std::int64_t feedback) {
  Statement row = database_.prepare(
      "UPDATE retraining SET started = ?, feedback = ? WHERE model = ? AND project = ? AND started = ? AND "
      "feedback = ? RETURNING 1");
  row.bind(1, now).bind(2, feedback).bind(3, plan.model).bind(4, plan.project);
  row.bind(5, plan.started).bind(6, plan.feedback);
  const bool changed = row.step();
  if (changed) row.run();
  return changed;
}

}  // namespace qing::serve
