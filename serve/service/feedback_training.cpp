#include "feedback_training.h"

#include <cstdint>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_store.h>
#include <qing/serve/state/audit.h>

namespace qing::serve {

std::string train_on_feedback(const FeedbackTraining& means, const RetrainingPlan& plan,
                              const std::vector<Feedback>& feedback, const std::function<bool()>& take) {
  const std::optional<Model> model = means.registry.find(plan.model);
  if (!model) Registry::throw_unknown(plan.model);
  // Before the file is made, so that a full project does not collect files.
  JobStore(means.database).require_room(plan.project, means.jobs.most_unfinished());
  Upload upload(means.state.files());
  for (const Feedback& one : feedback) {
    // Answers of an older version of another kind, such as one label instead of several, are no data for this one.
    if (!model->classifier || one.problem == model->classifier->problem()) upload.write(training_row(one) + "\n");
  }
  const NewFile named{.project = plan.project,
                      .name = fmt::format("feedback-{}.jsonl", plan.model),
                      .purpose = "fine-tune",
                      .key = plan.key};
  std::string id;
  const auto add_job = [&](const StoredFile& file) {
    if (!take()) return false;  // another server has begun this training
    const TrainingJob job{.project = plan.project,
                          .base = model->name,
                          .base_version = model->version,
                          .training_file = file.id,
                          .seed = 42,
                          .metadata = R"({"origin":"feedback"})"};
    id = JobStore(means.database).add(job, "feedback", plan.key, means.jobs.most_unfinished()).id;
    return true;
  };
  FileStore store(means.database, means.state);
  if (!store.create(named, upload, std::numeric_limits<std::uint64_t>::max(), add_job)) return {};
  means.jobs.wake();
  return id;
}

}  // namespace qing::serve
