#include <qing/optim/classifier/train_classifier.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <qing/autograd/ops.h>
#include <qing/nn/data/batch_sampler.h>
#include <qing/nn/data/data_loader.h>
#include <qing/nn/data/dataset.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/optim/averaged_model.h>
#include <qing/optim/classifier/classifier_data.h>
#include <qing/optim/classifier/parameter_groups.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/loader_losses.h>
#include <qing/optim/training/trainer.h>

namespace qing::optim {
namespace {

// Decay of the moving average of the displayed loss.
constexpr double kLossSmoothing = 0.98;

// KL divergence in both directions, the mean over the rows.
Tensor divergence(const Tensor& a, const Tensor& b) {
  const Tensor p = log_softmax(a, -1), q = log_softmax(b, -1);
  return kl_div(p, q, Reduction::batchmean, true) + kl_div(q, p, Reduction::batchmean, true);
}

// The encoder and the n-gram head whose logits are added.
class ClassifierModel : public nn::Module {
 public:
  ClassifierModel(const nn::ClassifierConfig& config, std::unique_ptr<nn::NgramHead> ngrams, Generator& rng)
      : bert_(config, rng), ngrams_(std::move(ngrams)) {}
  void visit(Visitor& visitor) override {
    visitor.module("bert", bert_);
    if (ngrams_) visitor.module("ngrams", *ngrams_);
  }

  Tensor forward(const ClassifierBatch& batch, Generator& rng) const {
    Tensor logits = bert_.forward(batch.tokens, &rng);
    if (!ngrams_) return logits;
    std::vector<const nn::NgramFeatures*> ngrams;
    for (const nn::NgramFeatures& features : batch.ngrams) ngrams.push_back(&features);
    return logits + ngrams_->forward(ngrams);
  }

  nn::EncoderForSequenceClassification& bert() { return bert_; }
  nn::NgramHead* ngrams() { return ngrams_.get(); }

 private:
  nn::EncoderForSequenceClassification bert_;
  std::unique_ptr<nn::NgramHead> ngrams_;
};

class Training : private Stateful {
 public:
  Training(std::span<const nn::Example> examples, const TrainOptions& options)
      : options_(options),
        start_(starting_model(examples, options)),
        rng_(options.seed),
        model_(start_.config, std::move(start_.ngrams), rng_),
        examples_(encode_examples(examples, options, start_.tokenizer,
                                  model_.ngrams() ? &model_.ngrams()->table() : nullptr)) {
    load_starting_weights(model_.bert(), start_.weights);
    start_.weights.clear();
    model_.set_requires_grad(true);
    choose_parameters(model_.bert(), options, rng_);
    // With a frozen encoder there is nothing to compute again.
    model_.bert().checkpoint_layers(options.gradient_checkpointing != 0 && options.head_only == 0);
    if (options.ema > 0) average_.emplace(model_.bert().parameters(), ema_with_warmup(options.ema));
    steps_ = options.epochs * batches_of_epoch(options, sampler_->size());
    if (options.max_steps > 0) steps_ = std::min(steps_, options.max_steps);
    warmup_ = static_cast<int64_t>(std::lround(options.warmup * static_cast<double>(steps_)));
  }

  TrainResult run(const std::filesystem::path& out, const std::function<bool(const Progress&)>& on_progress,
                  const std::function<void(int64_t)>& on_epoch, const RunOptions& run) {
    AdamW optimizer(parameter_groups(model_.bert(), model_.ngrams(), options_));
    LrScheduler schedule(
        optimizer, [this](double base, int64_t step) { return base * linear_warmup_decay(step, warmup_, steps_); });
    optimizer_ = &optimizer;
    double best = -std::numeric_limits<double>::infinity();
    int64_t saved = -1;
    bool evaluating = false;
    const auto save = [&](const std::filesystem::path& folder) {
      // The averaged weights are already in place when a model is evaluated.
      std::optional<AveragedModel::Swap> averages;
      if (average_ && !evaluating) averages.emplace(*average_);
      const nn::MergedLora merged(model_.bert());
      nn::save_text_classifier(folder, model_.bert(), start_.tokenizer, model_.ngrams());
      saved = now_.step;
    };
    TrainerOptions trainer{.max_epochs = options_.epochs, .max_steps = steps_, .clip_norm = options_.clip};
    trainer.precision = options_.precision;
    trainer.schedule = &schedule;
    trainer.rng = &rng_;
    trainer.average = average_ ? &*average_ : nullptr;
    trainer.parts = {{"classifier", this}};
    trainer.checkpoints = run.checkpoints;
    trainer.checkpoint_every = run.checkpoint_every;
    trainer.checkpoint.keep = 1;
    trainer.on_step = [&](const TrainerProgress& now) {
      best = now.best_metric;
      update(now);
      return !on_progress || on_progress(now_);
    };
    if (run.evaluate) {
      trainer.evaluate = [&] {
        evaluating = true;
        save(run.last);
        const double score = run.evaluate(run.last, now_);
        if (score > best) save(out);
        best = std::max(best, score);
        evaluating = false;
        return score;
      };
      trainer.evaluate_every = run.evaluate_every;
      trainer.greater_is_better = true;
    }
    trainer.patience = run.patience;
    trainer.on_epoch = [&](const TrainerProgress& now) {
      if (!run.evaluate) save(out);
      if (on_epoch) on_epoch(now.epoch);
      return true;
    };
    const LossSource source = losses_of(loader_, [this](const ClassifierBatch& batch) { return loss_of(batch); });
    const TrainerResult result = Trainer(model_, optimizer, source, trainer).run();
    if (saved != result.steps) {
      if (run.evaluate) save(run.last);
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

 private:
  // There are no workers, because preparing a batch takes less than a hundredth of a step's time and the step uses all
  // threads.
  nn::DataLoader<ClassifierBatch> make_loader() const {
    return {nn::SpanDataset<ClassifierExample>(examples_),
            ClassifierCollate(examples_, options_, start_.tokenizer.mask_id()),
            std::make_shared<nn::FixedBatchSampler>(sampler_, static_cast<size_t>(options_.batch))};
  }

  StateDict state_dict() const override {
    return {{"texts", integer_state(texts_)}, {"smoothed", number_state(smoothed_)}};
  }

  void load_state_dict(const StateDict& state) override {
    StateReader from("train_classifier: load_state_dict", state);
    const int64_t texts = from.integer("texts", 0);
    const double smoothed = from.number("smoothed");
    from.finish();
    texts_ = texts;
    smoothed_ = smoothed;
  }

  Tensor loss_of(const ClassifierBatch& batch) {
    now_.lr = optimizer_->lr();
    texts_ += batch.tokens.sequences();
    tokens_ += batch.tokens.tokens();
    const auto logits = [&] {
      const Tensor found = model_.forward(batch, rng_);
      return batch.adjustments.defined() ? found + batch.adjustments : found;
    };
    const Tensor first = logits();
    Tensor loss = cross_entropy(first, batch.targets);
    if (options_.consistency == 0) return loss;
    const Tensor second = logits();
    return 0.5 * (loss + cross_entropy(second, batch.targets)) + options_.consistency / 4 * divergence(first, second);
  }

  void update(const TrainerProgress& now) {
    if (seconds_ == 0) first_step_ = now.step;
    seconds_ = now.seconds;
    smoothed_ = now.step == 1 ? now.loss : kLossSmoothing * smoothed_ + (1 - kLossSmoothing) * now.loss;
    const double step_seconds = seconds_ / static_cast<double>(now.step - first_step_ + 1);
    now_ = {.step = now.step,
            .steps = steps_,
            .epoch = now.epoch + 1,
            .epochs = options_.epochs,
            .texts = texts_,
            .loss = smoothed_,
            .tokens_per_second = static_cast<double>(tokens_) / seconds_,
            .seconds_left = step_seconds * static_cast<double>(steps_ - now.step),
            .step_loss = now.loss,
            .grad_norm = now.grad_norm,
            .lr = now_.lr};
  }

  const TrainOptions& options_;
  StartingModel start_;
  Generator rng_;
  ClassifierModel model_;
  const std::vector<ClassifierExample> examples_;
  std::shared_ptr<const ClassifierSampler> sampler_ = std::make_shared<ClassifierSampler>(examples_, options_);
  nn::DataLoader<ClassifierBatch> loader_ = make_loader();
  std::optional<AveragedModel> average_;
  int64_t steps_ = 0, warmup_ = 0, texts_ = 0;
  int64_t tokens_ = 0, first_step_ = 0;  // of this process, like the seconds
  double seconds_ = 0, smoothed_ = 0;
  Progress now_{};
  const Optimizer* optimizer_ = nullptr;
};

}  // namespace

TrainResult train_classifier(std::span<const nn::Example> examples, const TrainOptions& options,
                             const std::filesystem::path& out, const std::function<bool(const Progress&)>& on_progress,
                             const std::function<void(int64_t epoch)>& on_epoch, const RunOptions& run) {
  check_train_options(options, examples);
  if (run.evaluate && run.last.empty()) {
    throw ValueError("train_classifier: evaluate needs the folder `last` for the model that it evaluates");
  }
  return Training(examples, options).run(out, on_progress, on_epoch, run);
}

}  // namespace qing::optim
