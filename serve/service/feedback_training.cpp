#include "feedback_training.h"

#include <cstdint>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/jobs/job_store.h>
#include <qing/serve/state/audit.h>

namespace qing::serve {

std::string train_on_feedback(const FeedbackTraining& means, const RetrainingPlan& plan,
                              const std::vector<Feedback>& feedback) {
  const std::optional<Model> model = means.registry.find(plan.model);
  if (!model) Registry::throw_unknown(plan.model);
  // Before the file is made, so that a full project does not collect files.
  JobStore(means.database).require_room(plan.project, means.jobs.most_unfinished());
  Upload upload(means.state.files());
  for (const Feedback& one : feedback) {
    JsonWriter line;
    line.begin_object().member("text", one.text).member("label", one.label).member("source", "feedback").end();
    upload.write(line.take() + "\n");
  }
  const NewFile named{.project = plan.project,
                      .name = fmt::format("feedback-{}.jsonl", plan.model),
                      .purpose = "fine-tune",
                      .key = plan.key};
  const StoredFile file =
      FileStore(means.database, means.state).create(named, upload, std::numeric_limits<std::uint64_t>::max());
  TrainingJob job{.project = plan.project,
                  .base = model->name,
                  .base_version = model->version,
                  .training_file = file.id,
                  .seed = 42,
                  .metadata = R"({"origin":"feedback"})"};
  job = JobStore(means.database).create(std::move(job), "feedback", {}, {}, plan.key);
  means.jobs.wake();
  return job.id;
}

}  // namespace qing::serve
