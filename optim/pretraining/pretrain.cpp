#include <qing/optim/pretraining/pretrain.h>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/data/batch_sampler.h>
#include <qing/nn/data/data_loader.h>
#include <qing/nn/data/dataset.h>
#include <qing/nn/models/pretrained.h>
#include <qing/optim/averaged_model.h>
#include <qing/optim/classifier/parameter_groups.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/chunked_batch.h>
#include <qing/optim/training/loader_losses.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

struct Start {
  nn::Tokenizer tokenizer;
  std::unique_ptr<nn::EncoderForMaskedLM> model;
};

Start start_of(std::span<const std::string> texts, const TrainOptions& o, Generator& rng) {
  if (o.from.empty()) {
    nn::Tokenizer tokenizer = new_tokenizer(texts, o);
    auto model = std::make_unique<nn::EncoderForMaskedLM>(new_encoder(o, tokenizer), rng);
    return {std::move(tokenizer), std::move(model)};
  }
  auto model = nn::load_masked_lm(o.from, o.dropout);
  return {starting_tokenizer(o, model->config()), std::move(model)};
}

MaskingOptions masking(const TrainOptions& o) {
  return {.share = o.mask_share, .whole_words = o.whole_words != 0, .seed = o.seed};
}

void check(std::span<const std::string> texts, const TrainOptions& options) {
  if (texts.empty()) throw ValueError("pretrain: there are no texts");
  check_option_ranges(options);
}

std::vector<MaskedExample> some(std::vector<MaskedExample> examples) {
  if (!examples.empty()) return examples;
  throw ValueError("pretrain: the texts have no tokens beside the special ones");
}

class Pretraining {
 public:
  Pretraining(std::span<const std::string> texts, const TrainOptions& options, const RunOptions& run)
      : options_(options),
        rng_(options.seed),
        start_(start_of(texts, options, rng_)),
        examples_(some(masked_examples(texts, start_.tokenizer))),
        run_({.name = "pretrain",
              .part = "pretraining",
              .epochs = options.epochs,
              .epoch_steps = batches_of_epoch(options, examples_.size()),
              .max_steps = options.max_steps,
              .warmup = options.warmup,
              .clip = options.clip,
              .precision = options.precision,
              .chunks = chunks_of_batch("pretrain", options.chunks, options.fast_reduce != 0, run.ranks),
              .gradients = options.gradient_precision,
              .overlap = options.overlap_reduce != 0,
              .shard_optimizer = options.shard_optimizer != 0},
             run) {
    model().set_requires_grad(true);
    model().train();
    model().checkpoint_layers(options.gradient_checkpointing != 0);
    if (options.ema > 0) average_.emplace(model().parameters(), ema_with_warmup(options.ema));
  }

  TrainResult run(const std::filesystem::path& out, const OnProgress& on_progress,
                  const std::function<void(int64_t)>& on_epoch) {
    AdamW optimizer(parameter_groups(model(), model().config(), nullptr, options_));
    const LossSource source = losses_of(
        loader_,
        [this](const MaskedBatch& batch) {
          run_.count(batch.tokens.sequences(), batch.tokens.tokens());
          return masked_loss(model(), batch, &rng_);
        },
        [this](std::shared_ptr<const MaskedBatch> batch) { return in_chunks(std::move(batch)); });
    const auto save = [this](const std::filesystem::path& folder) {
      nn::save_masked_lm(folder, model(), start_.tokenizer);
    };
    return run_.run(model(), optimizer, source, rng_, average_ ? &*average_ : nullptr, save, out, on_progress,
                    on_epoch);
  }

 private:
  nn::EncoderForMaskedLM& model() { return *start_.model; }

  ChunkedBatch in_chunks(std::shared_ptr<const MaskedBatch> batch) {
    const MaskedBatch& whole = *batch;
    run_.count(whole.tokens.sequences(), whole.tokens.tokens());
    return chunked_batch(whole.tokens.lengths(), whole.masked_tokens(), run_.plan().chunks, rng_, chunk_rng_,
                         [this, batch = std::move(batch)](int64_t first, int64_t last, Generator& rng) {
                           return masked_loss(model(), batch->part(first, last), &rng);
                         });
  }

  // Preparing a batch takes a small part of a step's time, so there are no workers.
  nn::DataLoader<MaskedBatch> make_loader() const {
    const auto order =
        std::make_shared<nn::RandomSampler>(examples_.size(), nn::RandomSamplerOptions{.seed = options_.seed});
    return {nn::SpanDataset<MaskedExample>(examples_), MaskedCollate(start_.tokenizer, masking(options_)),
            std::make_shared<nn::FixedBatchSampler>(order, static_cast<size_t>(options_.batch))};
  }

  const TrainOptions& options_;
  Generator rng_, chunk_rng_;
  Start start_;
  const std::vector<MaskedExample> examples_;
  nn::DataLoader<MaskedBatch> loader_ = make_loader();
  std::optional<AveragedModel> average_;
  TrainingRun run_;
};

}  // namespace

Tensor masked_loss(const nn::EncoderForMaskedLM& model, const MaskedBatch& batch, Generator* rng) {
  return cross_entropy(model.forward_at(batch.tokens, batch.rows, rng), batch.labels);
}

TrainResult pretrain(std::span<const std::string> texts, const TrainOptions& options, const std::filesystem::path& out,
                     const OnProgress& on_progress, const std::function<void(int64_t epoch)>& on_epoch,
                     const RunOptions& run) {
  check(texts, options);
  return Pretraining(texts, options, run).run(out, on_progress, on_epoch);
}

MaskedScore evaluate_masked_lm(const std::filesystem::path& folder, std::span<const std::string> texts,
                               const TrainOptions& options) {
  check(texts, options);
  const auto model = nn::load_masked_lm(folder);
  model->eval();
  const nn::Tokenizer tokenizer = nn::Tokenizer::load(folder, static_cast<int32_t>(model->config().max_tokens()));
  const std::vector<MaskedExample> examples = some(masked_examples(texts, tokenizer));
  const MaskedCollate collate(tokenizer, masking(options));
  constexpr size_t kBatch = 64;
  const NoGradGuard guard;
  MaskedScore score;
  double right = 0;
  for (size_t first = 0; first < examples.size(); first += kBatch) {
    const auto end = examples.begin() + static_cast<std::ptrdiff_t>(std::min(first + kBatch, examples.size()));
    const MaskedBatch batch =
        collate({examples.begin() + static_cast<std::ptrdiff_t>(first), end}, {.epoch = 0, .batch = first / kBatch});
    const Tensor scores = model->forward_at(batch.tokens, batch.rows);
    const int64_t rows = scores.size(0), width = scores.size(1);
    score.loss += cross_entropy(scores, batch.labels).item() * static_cast<double>(rows);
    score.tokens += rows;
    for (int64_t row = 0; row < rows; ++row) {
      const float* values = scores.data<float>() + row * width;
      right += std::max_element(values, values + width) - values == batch.labels.data<int32_t>()[row] ? 1 : 0;
    }
  }
  score.loss /= static_cast<double>(score.tokens);
  score.accuracy = right / static_cast<double>(score.tokens);
  return score;
}

}  // namespace qing::optim
