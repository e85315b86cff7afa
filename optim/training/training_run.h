// A training with linear warm-up and decay, progress, evaluations and the best model: what the recipes share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include <qing/optim/averaged_model.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/schedules.h>
#include <qing/optim/training/trainer.h>

namespace qing::optim {

struct Progress {
  int64_t step, steps;    ///< finished steps and all steps
  int64_t epoch, epochs;  ///< from 1
  int64_t texts;          ///< seen so far
  double loss;            ///< smoothed over the last steps
  double tokens_per_second;
  double seconds_left;
  double step_loss, grad_norm, lr;  ///< of this step only; the norm before clipping
};

/// The checkpoints and evaluations of a run. Of these options only those of patience affect the weights.
struct RunOptions {
  /// Folder of checkpoints; empty: none. Training resumes from its latest checkpoint and ends with the same weights.
  std::filesystem::path checkpoints = {};
  int64_t checkpoint_every = 0;  ///< steps; 0: after every epoch. One more is written at the end.
  /// Returns the score of the model in a folder. Greater is better. With it `out` gets the model with the best
  /// evaluation (the first of several equal ones), or the last model before the first evaluation. `last` gets every
  /// evaluated model and the final one.
  std::function<double(const std::filesystem::path& model, const Progress&)> evaluate = {};
  int64_t evaluate_every = 0;  ///< steps; 0: after every epoch. The model of the last step is evaluated in any case.
  int64_t patience = 0;        ///< training ends after this many evaluations without a better one; 0: never
  bool extended = false;       ///< a resumed training goes on past its end; see TrainerOptions
  std::filesystem::path last = {};
  /// The ranks of a data-parallel training; null: this process trains alone. Every rank gives the same options. Rank 0
  /// alone writes files and evaluates; the paths and `evaluate` of the others only have to be there where rank 0's are.
  Communicator* ranks = nullptr;
  /// Called on rank 0 for a rank that keeps the others waiting.
  std::function<void(const SlowRank&)> on_slow_rank = {};
};

struct TrainResult {
  double loss;               ///< mean over the last epoch's steps
  double tokens_per_second;  ///< tokens per second of the steps of this process, 0 without steps
  double seconds;            ///< duration of these steps
  int64_t steps;
  int64_t epochs;  ///< completed
  bool interrupted;
  bool early_stopped;    ///< patience ran out
  int64_t resumed_from;  ///< the step of the checkpoint, 0 without one
  int64_t total_steps;   ///< number of steps by the options
};

/// Called after every step; training ends early when it returns false.
using OnProgress = std::function<bool(const Progress&)>;

struct RunPlan {
  std::string name;  ///< of the recipe: its errors begin with it
  std::string part;  ///< its name in checkpoints
  int64_t epochs = 1;
  int64_t epoch_steps = 1;
  int64_t max_steps = 0;  ///< 0: no limit
  double warmup = 0;      ///< fraction of the steps in which the learning rate rises
  WarmupDecay decay = WarmupDecay::linear;
  double clip = 1;
  DType precision = DType::f32;
  int64_t chunks = 0;            ///< of a batch (chunks_of_batch()); 0: batches are computed as a whole
  DType gradients = DType::f32;  ///< in which they travel (DataParallelOptions)
  bool overlap = true;           ///< they travel while backward goes on
  bool shard_optimizer = false;  ///< its states are divided among the ranks
};

/// Not thread-safe.
class TrainingRun : private Stateful {
 public:
  /// ValueError for options with `evaluate` but without `last`.
  TrainingRun(RunPlan plan, RunOptions options);

  const RunPlan& plan() const { return plan_; }
  /// The loss of a batch calls it with the number of the batch's texts and tokens.
  void count(int64_t texts, int64_t tokens);
  /// Trains. save(folder) writes the model as it is; with `average` the averages are in place then. `out` gets the
  /// model after every epoch and at the end, or the best one. Errors of Trainer.
  TrainResult run(nn::Module& model, Optimizer& optimizer, const LossSource& source, Generator& rng,
                  AveragedModel* average, const std::function<void(const std::filesystem::path&)>& save,
                  const std::filesystem::path& out, const OnProgress& on_progress,
                  const std::function<void(int64_t epoch)>& on_epoch);

 private:
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;
  void update(const TrainerProgress& now, double lr);

  RunPlan plan_;
  RunOptions options_;
  int64_t steps_, warmup_, texts_ = 0;
  int64_t tokens_ = 0, first_step_ = 0;  // of this process, like the seconds
  double seconds_ = 0, smoothed_ = 0;
  double step_lr_ = 0;  // with which the step is taken, not that of the next
  const Optimizer* optimizer_ = nullptr;
  Progress now_{};
};

}  // namespace qing::optim
