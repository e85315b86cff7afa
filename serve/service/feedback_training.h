// Trains a model on feedback.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <qing/serve/common/database.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/maintenance/retraining.h>
#include <qing/serve/registry/registry.h>
#include <qing/serve/state/feedback.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

struct FeedbackTraining {
  Database& database;
  const State& state;
  const Registry& registry;
  JobRunner& jobs;
};

/// Stores the texts with their right labels as a file of the plan's project and makes a training job that begins with
/// the model. Its result is a model of its own, which replaces nothing until someone promotes it. `take` is called in
/// the transaction of both, as Caretaker::Train says. Returns the job's id; empty when `take` returned false.
/// IndexError when the model is not served. TooManyJobs. IoError.
std::string train_on_feedback(const FeedbackTraining& means, const RetrainingPlan& plan,
                              const std::vector<Feedback>& feedback, const std::function<bool()>& take);

}  // namespace qing::serve
