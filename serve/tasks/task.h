// The tasks beside classification: a folder serve/tasks/NAME is one task, from its data to its routes. It defines
// std::unique_ptr<const Task> make_NAME(). CMake makes the table of these functions from the folders' names.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/task_model.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/serve/http/router.h>
#include <qing/serve/runs/training_units.h>
#include <qing/serve/tasks/task_training.h>
#include <qing/tensor/dtype.h>

namespace qing::serve {

class JsonWriter;
class Service;
struct Model;

/// Immutable, so any thread may use it.
class Task {
 public:
  virtual ~Task() = default;

  /// As `--task`, config.json and listings have it: "tagging".
  virtual std::string_view name() const = 0;
  /// What `qing train --task NAME` does, as its help says it, without a full stop.
  virtual const char* about() const = 0;

  /// Which rows of the table of training options it takes: one flag.
  virtual optim::OptionUse options() const = 0;
  /// The values that these options have unless they are given.
  virtual optim::TrainOptions defaults() const { return {}; }
  /// What --data takes, as the help says it.
  virtual const char* data_help() const = 0;
  /// Whether --dev-share of the data is the dev set when --dev is not given.
  virtual bool holds_out() const { return false; }
  /// Whether several processes under mpirun can train it together (RunOptions::ranks).
  virtual bool trains_in_ranks() const { return false; }
  /// What a training counts: examples seen and work done.
  virtual cli::TrainingUnits units() const { return {}; }
  virtual std::unique_ptr<TaskRecipe> recipe() const = 0;

  /// Loads the model in a folder, whose products are computed in `precision`: f32, bf16 or i8. IoError, DataError;
  /// ValueError for a precision that the task's models do not have.
  virtual std::shared_ptr<const nn::TaskModel> load(const std::filesystem::path& folder, DType precision) const = 0;
  /// What `qing predict` prints for each input, a line or several: for people, or with `json` as one JSON object.
  /// Without an implementation an Error that names the way to use the model. DataError for an input that cannot be
  /// read.
  virtual std::vector<std::string> predict(const nn::TaskModel& model, std::span<const std::string> inputs,
                                           bool json) const;
  /// Writes members of its own into the description of a model, such as a translator's "directions". Nothing: none.
  virtual void describe(const nn::TaskModel& model, JsonWriter& json) const;
  /// Its routes. The service must outlive them.
  virtual std::vector<Route> routes(Service& service) const = 0;
  /// Answers POST /v1/models/{name}/predict for a model of this task, whatever the type of the body. Nothing:
  /// such a request is refused with 422, which names route().
  virtual Routed::Run answer(Service& service, const Model& model, const Call& call) const;
  /// Answers POST /v2/models/{name}/infer for a model of this task (Open Inference Protocol), whose tensors are
  /// TaskModel::inputs() and outputs(). Without an implementation a Refusal with 422 that names route().
  virtual Routed::Run infer(Service& service, const Model& model, const Call& call) const;
  /// The route that answers for a model of this task, as a refusal names it: "POST /v1/models/{name}/tag".
  virtual std::string_view route() const = 0;
};

/// All tasks beside classification, by name. Made once.
std::span<const std::unique_ptr<const Task>> tasks();
/// Null for a name that no task beside classification has.
const Task* find_task(std::string_view name);
/// "classification, image, tagging, translation".
std::string task_names();

/// Loads the model in a folder, whatever its task: text classifiers and models of sentence embeddings by
/// nn::load_text_model(), others by their task. IoError; DataError, also for a task that this qing does not have.
std::shared_ptr<const nn::TaskModel> load_task_model(const std::filesystem::path& folder, DType precision = DType::f32);

}  // namespace qing::serve
