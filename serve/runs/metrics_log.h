// metrics.jsonl: the metrics of a training, one object per line, complete lines only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <qing/optim/training/training_run.h>
#include <qing/serve/runs/dev_scores.h>
#include <qing/serve/runs/set_scores.h>
#include <qing/serve/runs/training_units.h>

namespace qing::serve::cli {

struct StepPoint {
  int64_t step;
  double loss;
};

struct EvaluationPoint {
  int64_t step;
  double score;                ///< greater is better: the mean of the sets' measure, a loss with a minus
  std::vector<DevScore> sets;  ///< of a classifier of single labels alone
  /// Of any other model, with the values alone.
  std::vector<SetScores> measured = {};
};

struct Metrics {
  std::vector<StepPoint> steps;
  std::vector<EvaluationPoint> evaluations;

  int64_t best_step() const;  ///< of the first evaluation with the greatest score; 0 without evaluations
};

/// Appends each line at once. Not thread-safe.
class MetricsLog {
 public:
  /// Keeps existing lines up to `step`, from which training continues. `work` is the unit of the steps' speed. IoError.
  MetricsLog(std::filesystem::path file, int64_t step, const char* work = TrainingUnits{}.work);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  /// {"type": "step", "step", "epoch", "loss", "lr", "grad_norm", "tokens_per_second"}, or another unit. IoError leaves
  /// whole lines.
  void add_step(const optim::Progress& progress);
  /// {"type": "evaluation", "step", "epoch", "macro_recall", "best", "dev": [{"name", "accuracy", ...}, ...]}, where
  /// the mean has the name of the measure
  void add_evaluation(const optim::Progress& progress, const std::vector<DevScore>& sets, const Measure& measure,
                      bool best);
  /// {"type": "evaluation", "step", "epoch", "score", "best", "dev": [{"name", "loss", "perplexity", ...}, ...]}, where
  /// the sets have the names of their values
  void add_evaluation(const optim::Progress& progress, const std::vector<SetScores>& sets, double score, bool best);

 private:
  void append(std::string line);

  std::filesystem::path file_;
  std::string speed_;
  int fd_;
  int64_t size_ = 0;
};

/// Reads the file. IoError, DataError.
Metrics read_metrics(const std::filesystem::path& file);

}  // namespace qing::serve::cli
