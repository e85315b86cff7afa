#include <qing/optim/training/training_run.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <qing/optim/lr_scheduler.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

// Decay of the moving average of the displayed loss.
constexpr double kLossSmoothing = 0.98;

int64_t steps_of(const RunPlan& plan) {
  const int64_t steps = plan.epochs * plan.epoch_steps;
  return plan.max_steps > 0 ? std::min(steps, plan.max_steps) : steps;
}

}  // namespace

TrainingRun::TrainingRun(RunPlan plan, RunOptions options)
    : plan_(std::move(plan)),
      options_(std::move(options)),
      steps_(steps_of(plan_)),
      warmup_(static_cast<int64_t>(std::lround(plan_.warmup * static_cast<double>(steps_)))) {
  if (options_.evaluate && options_.last.empty()) {
    throw ValueError(plan_.name + ": evaluate needs the folder `last` for the model that it evaluates");
  }
}

void TrainingRun::count(int64_t texts, int64_t tokens) {
  step_lr_ = optimizer_->lr();
  texts_ += texts;
  tokens_ += tokens;
}

TrainResult TrainingRun::run(nn::Module& model, Optimizer& optimizer, const LossSource& source, Generator& rng,
                             AveragedModel* average, const std::function<void(const std::filesystem::path&)>& write,
                             const std::filesystem::path& out, const OnProgress& on_progress,
                             const std::function<void(int64_t epoch)>& on_epoch) {
  LrScheduler schedule(
      optimizer, [this](double base, int64_t step) { return base * warmup_decay(plan_.decay, step, warmup_, steps_); });
  optimizer_ = &optimizer;
  double best = -std::numeric_limits<double>::infinity();
  int64_t saved = -1;
  bool evaluating = false;
  const bool writes = options_.ranks == nullptr || options_.ranks->is_first();
  const auto save = [&](const std::filesystem::path& folder) {
    saved = now_.step;
    if (!writes) return;
    // The averaged weights are already in place when a model is evaluated.
    std::optional<AveragedModel::Swap> averages;
    if (average != nullptr && !evaluating) averages.emplace(*average);
    write(folder);
  };
  TrainerOptions trainer{.max_epochs = plan_.epochs, .max_steps = steps_, .clip_norm = plan_.clip};
  trainer.precision = plan_.precision;
  trainer.schedule = &schedule;
  trainer.rng = &rng;
  trainer.average = average;
  trainer.parts = {{plan_.part, this}};
  trainer.checkpoints = options_.checkpoints;
  trainer.checkpoint_every = options_.checkpoint_every;
  trainer.checkpoint.keep = 1;
  trainer.on_step = [&](const TrainerProgress& now) {
    best = now.best_metric;
    update(now, step_lr_);
    return !on_progress || on_progress(now_);
  };
  if (options_.evaluate) {
    trainer.evaluate = [&] {
      evaluating = true;
      save(options_.last);
      const double score = options_.evaluate(options_.last, now_);
      if (score > best) save(out);
      best = std::max(best, score);
      evaluating = false;
      return score;
    };
    trainer.evaluate_every = options_.evaluate_every;
    trainer.greater_is_better = true;
  }
  trainer.patience = options_.patience;
  trainer.extended = options_.extended;
  SoleRank sole;
  std::optional<training::DataParallel> parallel;
  if (plan_.chunks > 0) {
    parallel.emplace(model, optimizer, options_.ranks != nullptr ? *options_.ranks : sole,
                     training::DataParallelOptions{.overlap = plan_.overlap,
                                                   .gradients = plan_.gradients,
                                                   .shard_optimizer = plan_.shard_optimizer,
                                                   .on_slow_rank = options_.on_slow_rank});
    trainer.parallel = &*parallel;
  }
  trainer.on_epoch = [&](const TrainerProgress& now) {
    if (!options_.evaluate) save(out);
    if (on_epoch) on_epoch(now.epoch);
    return true;
  };
  const TrainerResult result = Trainer(model, optimizer, source, trainer).run();
  if (saved != result.steps) {
    if (options_.evaluate) save(options_.last);
    if (!std::isfinite(result.best_metric)) save(out);
  }
  return {.loss = result.loss,
          .tokens_per_second = now_.tokens_per_second,
          .seconds = seconds_,
          .steps = result.steps,
          .epochs = result.epochs,
          .interrupted = result.interrupted,
          .early_stopped = result.early_stopped,
          .resumed_from = result.resumed_from,
          .total_steps = steps_};
}

StateDict TrainingRun::state_dict() const {
  return {{"texts", integer_state(texts_)}, {"smoothed", number_state(smoothed_)}};
}

void TrainingRun::load_state_dict(const StateDict& state) {
  StateReader from(plan_.name + ": load_state_dict", state);
  const int64_t texts = from.integer("texts", 0);
  const double smoothed = from.number("smoothed");
  from.finish();
  texts_ = texts;
  smoothed_ = smoothed;
}

void TrainingRun::update(const TrainerProgress& now, double lr) {
  if (seconds_ == 0) first_step_ = now.step;
  seconds_ = now.seconds;
  smoothed_ = now.step == 1 ? now.loss : kLossSmoothing * smoothed_ + (1 - kLossSmoothing) * now.loss;
  const double step_seconds = seconds_ / static_cast<double>(now.step - first_step_ + 1);
  now_ = {.step = now.step,
          .steps = steps_,
          .epoch = now.epoch + 1,
          .epochs = plan_.epochs,
          .texts = texts_,
          .loss = smoothed_,
          .tokens_per_second = static_cast<double>(tokens_) / seconds_,
          .seconds_left = step_seconds * static_cast<double>(steps_ - now.step),
          .step_loss = now.loss,
          .grad_norm = now.grad_norm,
          .lr = lr};
}

}  // namespace qing::optim
