// The training loop: forward, backward, clip, step, schedule; evaluation, early stopping, checkpoints and resuming.
#pragma once

#include <qing/nn/module.h>
#include <qing/optim/averaged_model.h>
#include <qing/optim/grad_scaler.h>
#include <qing/optim/lr_scheduler.h>
#include <qing/optim/training/checkpoint.h>
#include <qing/optim/training/data_parallel.h>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace qing::optim {

/// A batch in chunks, for DataParallel::backward().
struct ChunkedBatch {
  std::vector<training::BatchChunk> chunks;
  std::function<Tensor(int chunk)> loss;
};

/// The data and the loss: all that the loop needs from both.
struct LossSource {
  std::function<bool()> has_next;  ///< whether the epoch has another batch
  std::function<Tensor()> next;    ///< the loss of the next batch: one element, recorded
  /// The next batch in chunks, in place of `next`, for TrainerOptions::parallel.
  std::function<ChunkedBatch()> next_chunks = {};
  std::function<void(int64_t)> begin_epoch =
      {};  ///< optional; called with the epoch's number from 0 at its start: shuffle here
  std::function<std::string()> save = {};             ///< optional: the position within the epoch, for checkpoints
  std::function<void(const std::string&)> load = {};  ///< optional: returns to such a position
};

/// Computes loss(data[i]) for any data with size() and operator[], in the same order in each epoch. The data must
/// outlive the source.
template <class Data, class Loss> LossSource losses_of(const Data& data, Loss loss) {
  auto at = std::make_shared<size_t>(0);
  return {.has_next = [&data, at] { return *at < data.size(); },
          .next = [&data, at, loss = std::move(loss)]() mutable { return loss(data[(*at)++]); },
          .begin_epoch = [at](int64_t) { *at = 0; },
          .save = [at] { return std::to_string(*at); },
          .load =
              [at](const std::string& position) {
                const char* end = position.data() + position.size();
                size_t value = 0;
                const auto [stop, error] = std::from_chars(position.data(), end, value);
                if (error != std::errc() || stop != end) {
                  throw DataError("losses_of: the position '" + position + "' is no number; the checkpoint is damaged");
                }
                *at = value;
              }};
}

/// The progress that callbacks receive.
struct TrainerProgress {
  int64_t step = 0;        ///< finished optimizer steps, including skipped ones
  int64_t epoch = 0;       ///< completed epochs
  double loss = 0;         ///< of the last step, the mean of its batches
  double grad_norm = 0;    ///< before clipping; 0 without clipping
  double metric = 0;       ///< of the last evaluation
  double best_metric = 0;  ///< an infinity before the first
  double seconds = 0;      ///< duration of the steps of this process, including their batches
};

struct TrainerOptions {
  int64_t max_epochs = 1;  ///< 0: no limit
  int64_t max_steps = 0;   ///< 0: no limit; one of the two is needed
  int64_t accumulate = 1;  ///< batches per step; their gradients are averaged. An epoch's last step may have fewer.
  double clip_norm = 0;    ///< 0: no clipping
  /// bf16: the linear layers of the loss multiply in bf16 (see AutocastGuard), forward and backward. Evaluations do
  /// not.
  DType precision = DType::f32;
  /// Returns a metric of the current model, e.g. the loss on other data. It is called in evaluation mode, without
  /// recording, with the averages as weights if there are any.
  std::function<double()> evaluate = {};
  int64_t evaluate_every = 0;  ///< steps; 0: after every epoch. The last step that a limit allows is evaluated, too.
  bool greater_is_better = false;
  int64_t patience = 0;  ///< training ends after this many evaluations without a better one; 0: never
  /// The model ends with the weights of its best evaluation (the first of several equal ones) instead of the last ones.
  /// They take the memory of a second copy, and checkpoints hold them. Needs `evaluate`.
  bool keep_best = false;
  /// A resumed training goes on past its end: it counts the evaluations of `patience` from 0, and its first step
  /// already has the rate of the new schedule.
  bool extended = false;

  LrScheduler* schedule = nullptr;       ///< stepped after every step
  ReduceLrOnPlateau* plateau = nullptr;  ///< stepped with every metric
  AveragedModel* average = nullptr;      ///< updated after every step
  GradScaler* scaler = nullptr;
  /// The ranks that train together. It excludes `accumulate` and `scaler`. Every rank has a trainer with the same
  /// options. Rank 0 alone reads and writes checkpoints and evaluates; the others get what it read and its metric. A
  /// callback that ends the training on one rank ends it on all, after the same step.
  training::DataParallel* parallel = nullptr;
  Generator* rng = nullptr;  ///< the generator of dropout and shuffling, to be stored in checkpoints
  /// Further parts of checkpoints. "trainer", "optimizer", "data", "rng", "schedule", "plateau", "average", "scaler"
  /// and "best" are the trainer's own names.
  CheckpointParts parts = {};

  std::filesystem::path checkpoints = {};  ///< their folder; empty: none
  int64_t checkpoint_every = 0;            ///< steps; 0: after every epoch. One more is written at the end.
  CheckpointOptions checkpoint = {};
  bool resume = true;  ///< resume from the latest checkpoint of the folder; false: ValueError if there is one

  // Each may end the training by returning false. Evaluations and checkpoints that are due at that step still happen.
  std::function<bool(const TrainerProgress&)> on_step = {}, on_epoch = {}, on_evaluate = {};
  std::function<bool(const TrainerProgress&, const std::filesystem::path&)> on_checkpoint = {};
};

struct TrainerResult {
  int64_t steps;
  int64_t epochs;  ///< completed
  /// Mean over the steps of the last epoch, even an incomplete one, without the steps that the scaler skipped. If it
  /// skipped all, the loss of the last step.
  double loss;
  bool interrupted;      ///< a callback ended it before the last step
  bool early_stopped;    ///< patience ran out
  int64_t resumed_from;  ///< the step of the checkpoint, 0 without one
  double best_metric;    ///< of all evaluations, an infinity without any
  int64_t best_step;     ///< of the weights that keep_best kept; 0 without
};

/// The same model, data, options and kind of CPU give the same weights to the bit, for any number of threads, and
/// whether or not the process was killed and training resumed. With `parallel` they are the same for any number of
/// ranks too, also when it changes between a kill and the resumed training.
class Trainer : private Stateful {
 public:
  /// The arguments must outlive the trainer. ValueError for options out of range.
  Trainer(nn::Module& model, Optimizer& optimizer, LossSource source, TrainerOptions options);

  /// Trains until a limit, patience or a callback ends it. A second call goes on from the weights that the model has,
  /// which with keep_best are the best ones. ValueError when a loss is not finite (unless a scaler skips such steps) or
  /// an epoch has no batch. DataError or IoError from checkpoints.
  TrainerResult run();

 private:
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;

  // The best evaluation's state of the model. It is empty before the first one.
  struct Best : Stateful {
    StateDict state_dict() const override { return weights; }
    void load_state_dict(const StateDict& state) override;
    StateDict weights;
  };

  // The optimizer as a part of checkpoints. Where its state is divided among ranks, rank 0 has all of it here while a
  // checkpoint is written or read, so that checkpoints do not depend on the ranks.
  struct OptimizerPart : Stateful {
    explicit OptimizerPart(Optimizer& optimizer) : optimizer(optimizer) {}
    StateDict state_dict() const override;
    void load_state_dict(const StateDict& state) override;
    Optimizer& optimizer;
    bool divided = false;
    StateDict whole;
  };

  bool done() const;
  bool out_of_patience() const;
  Tensor next_loss();
  double accumulate_gradients();
  double parallel_gradients();
  bool is_first() const { return options_.parallel == nullptr || options_.parallel->ranks().is_first(); }
  void share_state(int64_t& resumed_from);
  double clipping();
  bool step();
  void evaluate();
  CheckpointParts parts();
  bool divides() const { return options_.parallel != nullptr && options_.parallel->shards_optimizer(); }
  void save_if(bool due, std::optional<CheckpointWriter>& writer);
  void tell(const std::function<bool(const TrainerProgress&)>& callback);

  nn::Module& model_;
  Optimizer& optimizer_;
  LossSource source_;
  TrainerOptions options_;
  BytesState position_;
  GeneratorState rng_;
  Best best_;
  OptimizerPart optimizer_part_;
  TrainerProgress progress_;
  int64_t epoch_steps_ = 0, bad_evaluations_ = 0, saved_step_ = -1, best_step_ = 0;
  double epoch_loss_ = 0;
  bool in_epoch_ = false, stop_ = false;
};

}  // namespace qing::optim
