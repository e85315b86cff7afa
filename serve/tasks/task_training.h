// One training of a task: its data in memory, and what the driver of `qing train` asks of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <qing/optim/classifier/train_options.h>
#include <qing/optim/training/training_run.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/serve/runs/run_record.h>
#include <qing/serve/tasks/task_option.h>

namespace qing::serve {

/// What a training is made of, as the command line and the configuration say it.
struct TaskData {
  std::vector<std::filesystem::path> data, dev;  ///< files or folders; `data` has one at least
  /// The fraction of `data` to hold out as the dev set. 0 when `dev` is given or the task holds nothing out.
  double dev_share = 0;
  bool dev_share_given = false;  ///< by the command line or a file of options
  optim::TrainOptions options = {};
  /// False for ranks other than rank 0, which print nothing.
  bool speaks = true;
};

/// The facts of a training for its card.
struct TaskFacts {
  cli::RunRecord record;
  optim::TrainResult result;
  std::int64_t best_step = 0;       ///< the step of the model; 0: the last step
  std::vector<cli::SetScores> dev;  ///< of that step; empty without dev sets, and of an interrupted training
};

/// Not thread-safe.
class TaskTraining {
 public:
  virtual ~TaskTraining() = default;

  /// What it learns from, after "training on ": "14041 sentences of 1 file, 2 layers of width 128".
  virtual std::string about() const = 0;
  /// The files with their digests and their numbers of examples, as the record of the run and the card have them.
  virtual std::vector<cli::DataFile> data_files() const = 0;
  virtual std::vector<cli::DataFile> dev_files() const = 0;  ///< none if a share of the data is the dev set
  /// Whether there are dev sets to evaluate on.
  virtual bool has_dev() const = 0;

  /// Trains into the folder `out`, as train_classifier() does: the same promises of bits, checkpoints and errors.
  virtual optim::TrainResult train(const std::filesystem::path& out, const optim::OnProgress& on_progress,
                                   const optim::RunOptions& run) = 0;
  /// The scores of the model in a folder on each dev set, in their order. Of several evaluations that with the greatest
  /// mean of SetScores::score is the best. IoError, DataError.
  virtual std::vector<cli::SetScores> evaluate(const std::filesystem::path& folder) = 0;
  /// Which measure SetScores::score is, as the last line of a training names it: "F1". Empty: it is not named.
  virtual std::string measure() const { return {}; }
  /// Writes the model's card into its folder, by write_card() of reports/card_sections.h. IoError, DataError.
  virtual void write_card(const std::filesystem::path& folder, const TaskFacts& facts) = 0;
};

/// How a task is trained, for one command line.
class TaskRecipe {
 public:
  virtual ~TaskRecipe() = default;

  /// Options of its own. The recipe holds their values.
  virtual std::vector<TaskOption> options() { return {}; }
  /// Reads the data. UsageError for options that contradict each other; IoError; DataError naming the file and the line
  /// or the entry.
  virtual std::unique_ptr<TaskTraining> read(TaskData data) = 0;
};

}  // namespace qing::serve
