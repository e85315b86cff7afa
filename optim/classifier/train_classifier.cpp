#include <qing/optim/classifier/train_classifier.h>

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
#include <qing/optim/classifier/problem_loss.h>
#include <qing/optim/classifier/regression_head.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/optim/classifier/streamed_texts.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/parallel/collectives.h>
#include <qing/optim/training/chunked_batch.h>
#include <qing/optim/training/loader_losses.h>
#include <qing/optim/training/training_run.h>

namespace qing::optim {
namespace {

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

// Asks the teachers on rank 0, which keeps their predictions in a file, and gives these to all ranks.
std::vector<std::vector<float>> taught(std::span<const nn::Example> examples, const TrainOptions& options,
                                       const TeacherOptions& teachers, Communicator* ranks) {
  if (ranks == nullptr || options.teachers.empty()) return ask_teachers(examples, options, teachers);
  std::vector<std::vector<float>> all(examples.size());
  if (ranks->is_first()) all = ask_teachers(examples, options, teachers);
  for (std::vector<float>& scores : all) {
    scores.resize(broadcast_value(*ranks, scores.size()));
    broadcast(*ranks, std::as_writable_bytes(std::span(scores)));
  }
  return all;
}

// The numbers that a regression learns, in its units.
std::vector<ClassifierExample> in_units(std::vector<ClassifierExample> examples, const TargetUnits& units) {
  for (ClassifierExample& example : examples) {
    example.value = static_cast<float>((example.value - units.mean) / units.deviation);
  }
  return examples;
}

// What a training needs to know of its texts beside the batches.
struct TrainingTask {
  StartingModel start;
  TargetUnits units = {};
  Tensor weights = {};  // of the positive parts, in multi-label training
  size_t epoch_texts = 0;
};

class Training {
 public:
  // The options and the loader must outlive it.
  Training(TrainingTask task, nn::DataLoader<ClassifierBatch>& loader, const TrainOptions& options,
           const RunOptions& run)
      : options_(options),
        start_(std::move(task.start)),
        rng_(options.seed),
        model_(start_.config, std::move(start_.ngrams), rng_),
        units_(task.units),
        weights_(std::move(task.weights)),
        loader_(loader),
        run_({.name = "train_classifier",
              .part = "classifier",
              .epochs = options.epochs,
              .epoch_steps = batches_of_epoch(options, task.epoch_texts),
              .max_steps = options.max_steps,
              .warmup = options.warmup,
              .clip = options.clip,
              .precision = options.precision,
              .chunks = chunks_of_batch("train_classifier", options.chunks, options.fast_reduce != 0, run.ranks),
              .gradients = options.gradient_precision,
              .overlap = options.overlap_reduce != 0,
              .shard_optimizer = options.shard_optimizer != 0},
             run) {
    load_starting_weights(model_.bert(), start_);
    if (options.regression != 0 && start_.weights.contains(kHeadWeight)) to_units(model_.bert(), units_);
    start_.weights.clear();
    model_.set_requires_grad(true);
    choose_parameters(model_.bert(), options, rng_);
    // With a frozen encoder there is nothing to compute again.
    model_.bert().checkpoint_layers(options.gradient_checkpointing != 0 && options.head_only == 0);
    if (options.ema > 0) average_.emplace(model_.bert().parameters(), ema_with_warmup(options.ema));
  }

  TrainResult run(const std::filesystem::path& out, const OnProgress& on_progress,
                  const std::function<void(int64_t)>& on_epoch) {
    AdamW optimizer(parameter_groups(model_.bert(), start_.config.encoder, model_.ngrams(), options_));
    const LossSource source = losses_of(
        loader_,
        [this](const ClassifierBatch& batch) {
          run_.count(batch.tokens.sequences(), batch.tokens.tokens());
          return loss_of(batch, rng_);
        },
        [this](std::shared_ptr<const ClassifierBatch> batch) { return in_chunks(std::move(batch)); });
    const auto save = [this](const std::filesystem::path& folder) {
      const nn::MergedLora merged(model_.bert());
      std::optional<HeadInOriginalUnits> original;
      if (options_.regression != 0) original.emplace(model_.bert(), units_);
      nn::save_text_classifier(folder, model_.bert(), start_.tokenizer, model_.ngrams());
    };
    return run_.run(model_, optimizer, source, rng_, average_ ? &*average_ : nullptr, save, out, on_progress, on_epoch);
  }

 private:
  ChunkedBatch in_chunks(std::shared_ptr<const ClassifierBatch> batch) {
    const nn::RaggedBatch& texts = batch->tokens;
    run_.count(texts.sequences(), texts.tokens());
    const std::vector<int64_t> weights(static_cast<size_t>(texts.sequences()), 1);
    return chunked_batch(texts.lengths(), weights, run_.plan().chunks, rng_, chunk_rng_,
                         [this, batch = std::move(batch)](int64_t first, int64_t last, Generator& rng) {
                           return loss_of(batch->part(first, last), rng);
                         });
  }

  Tensor loss_of(const ClassifierBatch& batch, Generator& rng) {
    const auto logits = [&] {
      const Tensor found = model_.forward(batch, rng);
      return batch.adjustments.defined() ? found + batch.adjustments : found;
    };
    const double temperature = options_.teacher_temperature;
    const auto loss_to = [&](const Tensor& found) {
      switch (options_.problem()) {
        case nn::Problem::multi_label: return multi_label_loss(found, batch.targets, weights_);
        case nn::Problem::ordinal: return ordinal_loss(found, batch.targets);
        case nn::Problem::regression: return mse_loss(found, batch.targets);
        default: break;
      }
      Tensor hard = cross_entropy(found, batch.targets);
      if (!batch.softened.defined()) return hard;
      return hard + temperature * temperature * cross_entropy(found * (1 / temperature), batch.softened);
    };
    const Tensor first = logits();
    Tensor loss = loss_to(first);
    if (options_.consistency == 0) return loss;
    const Tensor second = logits();
    return 0.5 * (loss + loss_to(second)) + options_.consistency / 4 * divergence(first, second);
  }

  const TrainOptions& options_;
  StartingModel start_;
  Generator rng_, chunk_rng_;
  ClassifierModel model_;
  const TargetUnits units_;
  const Tensor weights_;  // of the positive parts, in multi-label training
  nn::DataLoader<ClassifierBatch>& loader_;
  std::optional<AveragedModel> average_;
  TrainingRun run_;
};

}  // namespace

TrainResult train_classifier(std::span<const nn::Example> examples, const TrainOptions& options,
                             const std::filesystem::path& out, const OnProgress& on_progress,
                             const std::function<void(int64_t epoch)>& on_epoch, const RunOptions& run,
                             const TeacherOptions& teachers) {
  check_train_options(options, examples);
  TrainingTask task{.start = starting_model(examples, options), .weights = positive_weights(examples, options)};
  if (options.regression != 0) task.units = units_of(examples);
  const nn::NgramTable* ngrams = task.start.ngrams ? &task.start.ngrams->table() : nullptr;
  const std::vector<ClassifierExample> encoded =
      in_units(encode_examples(examples, task.start.tokenizer, ngrams, taught(examples, options, teachers, run.ranks)),
               task.units);
  const auto sampler = std::make_shared<ClassifierSampler>(encoded, options);
  task.epoch_texts = sampler->size();
  // There are no workers, because preparing a batch takes less than a hundredth of a step's time and the step uses all
  // threads.
  nn::DataLoader<ClassifierBatch> loader(
      nn::SpanDataset<ClassifierExample>(encoded), ClassifierCollate(encoded, options, task.start.tokenizer.mask_id()),
      std::make_shared<nn::FixedBatchSampler>(sampler, static_cast<size_t>(options.batch)));
  return Training(std::move(task), loader, options, run).run(out, on_progress, on_epoch);
}

TrainResult train_streamed_classifier(const StreamedTexts& texts, const TrainOptions& options,
                                      const std::filesystem::path& out, const OnProgress& on_progress,
                                      const std::function<void(int64_t epoch)>& on_epoch, const RunOptions& run) {
  check_train_options(options, texts.tokens->texts());
  check_streamed_options(options);
  TrainingTask task{.start = starting_model(texts.tokenizer, options), .epoch_texts = texts.tokens->texts()};
  const ClassifierCollate collate(texts.counts, options, task.start.tokenizer.mask_id());
  nn::DataLoader<ClassifierBatch> loader(std::make_shared<StreamedBatches>(texts.tokens, collate, options));
  return Training(std::move(task), loader, options, run).run(out, on_progress, on_epoch);
}

}  // namespace qing::optim
