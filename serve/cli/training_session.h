// The progress of a training, as all commands that train show and record it.
#pragma once

#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <qing/optim/training/training_run.h>
#include <qing/serve/cli/interrupt.h>
#include <qing/serve/cli/progress.h>
#include <qing/serve/cli/training_command.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/serve/runs/run_directory.h>

namespace qing::serve::cli {

/// Shows the progress of one training on stderr and appends it to metrics.jsonl. Not thread-safe.
class TrainingSession {
 public:
  /// Evaluates the model in a folder and returns its score. Greater is better.
  using Evaluate = std::function<double(const std::filesystem::path& model, const optim::Progress& progress)>;
  using Train = std::function<optim::TrainResult(const optim::OnProgress&, const optim::RunOptions&)>;

  /// Continues the metrics of the run. The arguments outlive the session. `ranks` is null for a process alone. IoError,
  /// DataError.
  TrainingSession(const TrainingArguments& arguments, const RunDirectory& run, optim::Communicator* ranks);

  /// Calls `train`, which stops early at the first Ctrl-C of the session. Without `evaluate` there are no evaluations.
  optim::TrainResult run(const Train& train, const Evaluate& evaluate);

  ProgressDisplay& display() { return display_; }
  /// Whether Ctrl-C was pressed.
  bool interrupted() const { return guard_ && guard_->interrupted(); }
  /// Prints a line about one dev set of an evaluation.
  void print_scores(const optim::Progress& progress, const std::string& name, const std::string& scores) const;
  /// Each appends an evaluation to the metrics and returns its score.
  double add_evaluation(const optim::Progress& progress, const std::vector<SetScores>& sets, double score);
  double add_evaluation(const optim::Progress& progress, const std::vector<DevScore>& sets, const Measure& measure);

 private:
  const TrainingArguments& arguments_;
  const RunDirectory& run_;
  optim::Communicator* ranks_;
  std::optional<InterruptGuard> guard_{std::in_place, kInterruptNotice};  // until run() ends
  MetricsLog log_;
  ProgressDisplay display_;
  double best_ = -std::numeric_limits<double>::infinity();
};

/// Trains on a rank other than rank 0, which has the session. The first Ctrl-C ends the training of all ranks after a
/// step.
void follow(const TrainingArguments& arguments, optim::Communicator& ranks, const TrainingSession::Train& train);

}  // namespace qing::serve::cli
