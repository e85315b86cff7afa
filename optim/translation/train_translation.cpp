#include <qing/optim/translation/train_translation.h>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/nn/data/batch_sampler.h>
#include <qing/nn/data/data_loader.h>
#include <qing/nn/data/dataset.h>
#include <qing/nn/text/bpe_trainer.h>
#include <qing/optim/averaged_model.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/chunked_batch.h>
#include <qing/optim/training/loader_losses.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

constexpr int64_t kHeadWidth = 64;
constexpr int64_t kFeedForwardFactor = 4;

std::vector<nn::TranslationDirection> directions_of(std::span<const TranslationPair> pairs) {
  std::set<nn::TranslationDirection> directions;
  for (const TranslationPair& pair : pairs) directions.insert({pair.from, pair.to});
  return {directions.begin(), directions.end()};
}

// Matrices decay. Biases and the scales of norms would be pulled away from where they belong.
std::vector<ParameterGroup<AdamWOptions>> translation_groups(nn::Module& model, const TrainOptions& o) {
  ParameterGroup<AdamWOptions> matrices{.parameters = {}, .options = o.adamw()}, others = matrices;
  others.options.weight_decay = 0;
  for (const Tensor& parameter : model.parameters()) {
    (parameter.dim() > 1 ? matrices : others).parameters.push_back(parameter);
  }
  return {std::move(matrices), std::move(others)};
}

nn::TranslationFolder new_translation(std::span<const TranslationPair> pairs, const TrainOptions& o, Generator& rng) {
  nn::Tokenizer tokenizer = new_translation_tokenizer(pairs, o);
  auto model = std::make_unique<nn::TranslationModel>(new_translation_config(o, tokenizer), rng);
  return {std::move(model), std::move(tokenizer), directions_of(pairs)};
}

// The model to go on with. What it is trained on decides its directions.
nn::TranslationFolder starting_translation(std::span<const TranslationPair> pairs, const TrainOptions& o,
                                           Generator& rng) {
  if (o.from.empty()) return new_translation(pairs, o, rng);
  nn::TranslationFolder folder = nn::load_translation_model(o.from, o.dropout);
  const auto room = static_cast<int32_t>(std::min(o.max_length, folder.model->config().max_tokens));
  return {std::move(folder.model), folder.tokenizer.limited(room), directions_of(pairs)};
}

void check_translation(std::span<const TranslationPair> pairs, const TrainOptions& o) {
  if (pairs.empty()) throw ValueError("train_translation: there are no pairs");
  check_option_ranges(o);
}

TranslationExamples fitting(TranslationExamples encoded, const TrainOptions& o) {
  if (encoded.examples.empty()) {
    throw ValueError(fmt::format("train_translation: all {} pairs have a text of more than {} tokens", encoded.too_long,
                                 o.max_length));
  }
  int64_t longest = 0;
  for (const TranslationExample& example : encoded.examples) longest = std::max(longest, example.tokens());
  if (longest > o.batch_tokens) {
    throw ValueError(fmt::format(
        "train_translation: batch_tokens is {}, but a pair has {} tokens; raise batch_tokens, or lower max_length",
        o.batch_tokens, longest));
  }
  return encoded;
}

std::vector<int64_t> tokens_of_pairs(std::span<const TranslationExample> examples) {
  std::vector<int64_t> tokens;
  tokens.reserve(examples.size());
  for (const TranslationExample& example : examples) tokens.push_back(example.tokens());
  return tokens;
}

class TranslationTraining {
 public:
  TranslationTraining(std::span<const TranslationPair> pairs, const TrainOptions& options, const RunOptions& run)
      : options_(options),
        rng_(options.seed),
        start_(starting_translation(pairs, options, rng_)),
        pairs_(std::ssize(pairs)),
        examples_(fitting(encode_pairs(pairs, start_.tokenizer), options).examples),
        run_({.name = "train_translation",
              .part = "translation",
              .epochs = options.epochs,
              .epoch_steps = static_cast<int64_t>(sampler_->plan(0).size()),
              .max_steps = options.max_steps,
              .warmup = options.warmup,
              .decay = options.inverse_sqrt != 0 ? WarmupDecay::inverse_sqrt : WarmupDecay::linear,
              .clip = options.clip,
              .precision = options.precision,
              .chunks = chunks_of_batch("train_translation", options.chunks, options.fast_reduce != 0, run.ranks),
              .gradients = options.gradient_precision,
              .overlap = options.overlap_reduce != 0,
              .shard_optimizer = options.shard_optimizer != 0},
             run) {
    model().set_requires_grad(true);
    model().train();
    model().checkpoint_layers(options.gradient_checkpointing != 0);
    if (options.ema > 0) average_.emplace(model().parameters(), ema_with_warmup(options.ema));
  }

  TranslationTrainResult run(const std::filesystem::path& out, const OnProgress& on_progress,
                             const std::function<void(int64_t)>& on_epoch) {
    AdamW optimizer(translation_groups(model(), options_));
    const LossSource source = losses_of(
        loader_,
        [this](const nn::TranslationBatch& batch) {
          count(batch);
          return model().loss(batch, options_.label_smoothing, &rng_);
        },
        [this](std::shared_ptr<const nn::TranslationBatch> batch) { return in_chunks(std::move(batch)); });
    const auto save = [this](const std::filesystem::path& folder) {
      nn::save_translation_model(folder, model(), start_.tokenizer, start_.directions);
    };
    const TrainResult result =
        run_.run(model(), optimizer, source, rng_, average_ ? &*average_ : nullptr, save, out, on_progress, on_epoch);
    return {result, pairs_ - std::ssize(examples_)};
  }

 private:
  nn::TranslationModel& model() { return *start_.model; }

  void count(const nn::TranslationBatch& batch) {
    run_.count(batch.source.sequences(), batch.source.tokens() + batch.target.tokens());
  }

  ChunkedBatch in_chunks(std::shared_ptr<const nn::TranslationBatch> batch) {
    count(*batch);
    const std::vector<int64_t> weights = batch->target.lengths();
    std::vector<int64_t> tokens = batch->source.lengths();
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] += weights[i];
    return chunked_batch(tokens, weights, run_.plan().chunks, rng_, chunk_rng_,
                         [this, batch = std::move(batch)](int64_t first, int64_t last, Generator& rng) {
                           return model().loss(part_of(*batch, first, last), options_.label_smoothing, &rng);
                         });
  }

  // All pairs of an epoch are sorted by length together, so that every epoch has the same number of batches.
  std::shared_ptr<const nn::TokenBatchSampler> make_sampler() const {
    auto order = std::make_shared<nn::RandomSampler>(examples_.size(), nn::RandomSamplerOptions{.seed = options_.seed});
    return std::make_shared<nn::TokenBatchSampler>(
        std::move(order), tokens_of_pairs(examples_),
        nn::TokenBatchOptions{
            .max_tokens = options_.batch_tokens, .window = std::ssize(examples_), .seed = options_.seed});
  }

  const TrainOptions& options_;
  Generator rng_, chunk_rng_;
  nn::TranslationFolder start_;
  const int64_t pairs_;
  const std::vector<TranslationExample> examples_;
  const std::shared_ptr<const nn::TokenBatchSampler> sampler_ = make_sampler();
  // Preparing a batch takes a small part of a step's time, so there are no workers.
  nn::DataLoader<nn::TranslationBatch> loader_{nn::SpanDataset<TranslationExample>(examples_),
                                               TranslationCollate(start_.model->config().start_id), sampler_};
  std::optional<AveragedModel> average_;
  TrainingRun run_;
};

}  // namespace

nn::Tokenizer new_translation_tokenizer(std::span<const TranslationPair> pairs, const TrainOptions& o) {
  std::vector<std::string> texts;
  texts.reserve(2 * pairs.size());
  for (const TranslationPair& pair : pairs) {
    texts.push_back(pair.source);
    texts.push_back(pair.target);
  }
  return nn::train_byte_level_bpe(texts, static_cast<int32_t>(o.vocab),
                                  {.max_length = static_cast<int32_t>(o.max_length),
                                   .more_special_tokens = language_tokens(pairs),
                                   .begins_with_cls = false});
}

nn::TranslationConfig new_translation_config(const TrainOptions& o, const nn::Tokenizer& tokenizer) {
  nn::TranslationConfig config;
  config.vocab_size = tokenizer.vocab_size();
  config.width = o.width;
  config.encoder_layers = o.layers;
  config.decoder_layers = o.decoder_layers > 0 ? o.decoder_layers : o.layers;
  config.encoder_heads = config.decoder_heads = o.heads > 0 ? o.heads : std::max<int64_t>(1, o.width / kHeadWidth);
  config.encoder_hidden = config.decoder_hidden = kFeedForwardFactor * o.width;
  config.max_tokens = o.max_length;
  config.dropout = o.dropout;
  config.pad_id = tokenizer.pad_id();
  config.eos_id = tokenizer.sep_id();
  config.start_id = tokenizer.cls_id();
  return config;
}

TranslationTrainResult train_translation(std::span<const TranslationPair> pairs, const TrainOptions& options,
                                         const std::filesystem::path& out, const OnProgress& on_progress,
                                         const std::function<void(int64_t epoch)>& on_epoch, const RunOptions& run) {
  check_translation(pairs, options);
  return TranslationTraining(pairs, options, run).run(out, on_progress, on_epoch);
}

TranslationLoss translation_loss(const nn::TranslationFolder& folder, std::span<const TranslationPair> pairs) {
  const TranslationExamples encoded = encode_pairs(pairs, folder.tokenizer);
  TranslationLoss result{.too_long = encoded.too_long};
  const TranslationCollate collate(folder.model->config().start_id);
  constexpr size_t kBatch = 64;
  const NoGradGuard guard;
  for (size_t first = 0; first < encoded.examples.size(); first += kBatch) {
    const auto begin = encoded.examples.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min(kBatch, encoded.examples.size() - first));
    const nn::TranslationBatch batch = collate({begin, end});
    const int64_t tokens = batch.target.tokens();
    result.loss += folder.model->loss(batch).item() * static_cast<double>(tokens);
    result.tokens += tokens;
  }
  if (result.tokens > 0) result.loss /= static_cast<double>(result.tokens);
  return result;
}

}  // namespace qing::optim
