#include <qing/optim/tagging/train_tagger.h>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include <qing/autograd/ops.h>
#include <qing/nn/data/batch_sampler.h>
#include <qing/nn/data/data_loader.h>
#include <qing/nn/data/dataset.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/tag_units.h>
#include <qing/optim/averaged_model.h>
#include <qing/optim/classifier/parameter_groups.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/chunked_batch.h>
#include <qing/optim/training/loader_losses.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

// A window of a sentence, with a label at each of some tokens.
struct TagExample {
  std::vector<std::int32_t> ids, rows, labels;
};

struct TagBatch {
  nn::RaggedBatch tokens;
  std::vector<std::int64_t> labelled;  // tokens with labels, by sequence
  Tensor rows, labels;                 // i32 [n]: tokens of the batch, and their labels

  // Sequences first to last − 1. The tensors share this batch's memory.
  TagBatch part(std::int64_t first, std::int64_t last) const {
    const auto begin = std::accumulate(labelled.begin(), labelled.begin() + first, std::int64_t{0});
    const auto count = std::accumulate(labelled.begin() + first, labelled.begin() + last, std::int64_t{0});
    const auto moved = static_cast<std::int32_t>(tokens.offsets[static_cast<size_t>(first)]);
    const std::int32_t* old = rows.data<std::int32_t>() + begin;
    std::vector<std::int32_t> own(old, old + count);
    for (std::int32_t& row : own) row -= moved;
    return {.tokens = tokens.part(first, last),
            .labelled = {labelled.begin() + first, labelled.begin() + last},
            .rows = Tensor::from(std::span<const std::int32_t>(own), {count}),
            .labels = labels.narrow(0, begin, count)};
  }
};

TagBatch collate_tags(const std::vector<TagExample>& examples, const nn::BatchNumber&) {
  std::vector<std::span<const std::int32_t>> sequences;
  std::vector<std::int32_t> rows, labels;
  std::vector<std::int64_t> labelled;
  std::int32_t tokens = 0;
  for (const TagExample& example : examples) {
    sequences.emplace_back(example.ids);
    for (const std::int32_t row : example.rows) rows.push_back(tokens + row);
    labels.insert(labels.end(), example.labels.begin(), example.labels.end());
    labelled.push_back(std::ssize(example.rows));
    tokens += static_cast<std::int32_t>(example.ids.size());
  }
  const auto count = std::ssize(rows);
  return {.tokens = nn::RaggedBatch::of(sequences),
          .labelled = std::move(labelled),
          .rows = Tensor::from(std::span<const std::int32_t>(rows), {count}),
          .labels = Tensor::from(std::span<const std::int32_t>(labels), {count})};
}

std::vector<nn::TagSpan> entities_of(const nn::TaggedSentence& sentence) {
  std::vector<std::string> tags;
  for (const std::string& tag : sentence.tags) tags.push_back(nn::normal_tag(tag));
  return nn::spans_of_tags(tags);
}

// The windows of a sentence. The first unit of an entity's first word begins it, and the last unit of its last word
// ends it.
void add_tag_examples(const nn::TaggedSentence& sentence, const nn::Tokenizer& tokenizer, const nn::TagScheme& scheme,
                      std::vector<TagExample>& examples) {
  std::vector<std::uint32_t> begins;
  const std::string text = nn::join_words(sentence.words, begins);
  nn::TagInput input = nn::tag_input(tokenizer, text);
  std::vector<nn::TagSpan> spans;
  for (const nn::TagSpan& entity : entities_of(sentence)) {
    const std::uint32_t begin = begins[entity.first];
    const auto end =
        entity.last + 1 < begins.size() ? begins[entity.last + 1] : static_cast<std::uint32_t>(text.size());
    const auto first = std::ranges::lower_bound(input.units, begin, {}, &nn::TagUnit::begin) - input.units.begin();
    const auto behind = std::ranges::lower_bound(input.units, end, {}, &nn::TagUnit::begin) - input.units.begin();
    // A word may have no token, such as one of control characters.
    if (first < behind) spans.push_back({entity.type, static_cast<size_t>(first), static_cast<size_t>(behind) - 1});
  }
  const std::vector<std::int32_t> labels = scheme.encode(spans, input.units.size());
  auto label = labels.begin();
  for (nn::TagWindow& window : input.windows) {
    const auto end = label + std::ssize(window.rows);
    if (!window.rows.empty()) {
      examples.push_back({.ids = std::move(window.ids), .rows = std::move(window.rows), .labels = {label, end}});
    }
    label = end;
  }
}

std::vector<std::string> joined_texts(std::span<const nn::TaggedSentence> sentences) {
  std::vector<std::string> texts;
  std::vector<std::uint32_t> begins;
  for (const nn::TaggedSentence& sentence : sentences) texts.push_back(nn::join_words(sentence.words, begins));
  return texts;
}

// The tokenizer, the model's configuration and the weights that it begins with.
struct TaggerStart {
  nn::Tokenizer tokenizer;
  nn::ClassifierConfig config;
  nn::PretrainedWeights weights = {};
};

TaggerStart tagger_start(std::span<const nn::TaggedSentence> sentences, const nn::TagScheme& scheme,
                         const TrainOptions& o) {
  if (o.from.empty()) {
    nn::Tokenizer tokenizer = new_tokenizer(joined_texts(sentences), o);
    nn::ClassifierConfig config{.encoder = new_encoder(o, tokenizer), .labels = scheme.labels()};
    return {std::move(tokenizer), std::move(config)};
  }
  nn::ClassifierConfig config{.encoder = nn::EncoderConfig::load(o.from / nn::kConfigFile), .labels = scheme.labels()};
  config.encoder.hidden_dropout_prob = config.encoder.attention_probs_dropout_prob = o.dropout;
  nn::PretrainedWeights weights = nn::read_pretrained_weights(o.from, config.encoder, 0);
  const bool keeps_head = nn::task_of(o.from) == nn::kTagging &&
                          nn::ClassifierConfig::load_for_tokens(o.from / nn::kConfigFile).labels == scheme.labels();
  std::erase_if(weights.tensors, [&](const auto& entry) {
    if (entry.first.starts_with("classifier.")) return !keeps_head;
    return !entry.first.starts_with("bert.") || entry.first.starts_with("bert.pooler.");
  });
  return {starting_tokenizer(o, config.encoder), std::move(config), std::move(weights)};
}

void load_encoder(nn::EncoderForTokenClassification& model, const nn::PretrainedWeights& weights) {
  if (weights.tensors.empty()) return;
  const auto result = [&] {
    try {
      return model.load_state_dict(weights.tensors, false);
    } catch (const DataError& error) { throw DataError(weights.path + ": " + error.what()); }
  }();
  for (const std::string& name : result.missing_keys) {
    if (!name.starts_with("classifier.")) throw DataError(fmt::format("{}: {} is missing", weights.path, name));
  }
}

class TaggerTraining {
 public:
  TaggerTraining(std::span<const nn::TaggedSentence> sentences, const TrainOptions& options, const RunOptions& run)
      : options_(options),
        rng_(options.seed),
        scheme_(learn_tag_scheme(sentences)),
        start_(tagger_start(sentences, scheme_, options)),
        model_(start_.config, rng_),
        examples_(encoded(sentences)),
        run_({.name = "train_tagger",
              .part = "tagger",
              .epochs = options.epochs,
              .epoch_steps = batches_of_epoch(options, examples_.size()),
              .max_steps = options.max_steps,
              .warmup = options.warmup,
              .clip = options.clip,
              .precision = options.precision,
              .chunks = chunks_of_batch("train_tagger", options.chunks, options.fast_reduce != 0, run.ranks),
              .gradients = options.gradient_precision,
              .overlap = options.overlap_reduce != 0,
              .shard_optimizer = options.shard_optimizer != 0},
             run) {
    load_encoder(model_, start_.weights);
    start_.weights.tensors.clear();
    model_.set_requires_grad(true);
    model_.train();
    model_.checkpoint_layers(options.gradient_checkpointing != 0);
    if (options.ema > 0) average_.emplace(model_.parameters(), ema_with_warmup(options.ema));
  }

  TrainResult run(const std::filesystem::path& out, const OnProgress& on_progress) {
    AdamW optimizer(parameter_groups(model_, start_.config.encoder, nullptr, options_));
    const LossSource source = losses_of(
        loader_,
        [this](const TagBatch& batch) {
          run_.count(batch.tokens.sequences(), batch.tokens.tokens());
          return loss(batch, rng_);
        },
        [this](std::shared_ptr<const TagBatch> batch) { return in_chunks(std::move(batch)); });
    const auto save = [this](const std::filesystem::path& folder) {
      nn::save_tagger(folder, model_, start_.tokenizer);
    };
    return run_.run(model_, optimizer, source, rng_, average_ ? &*average_ : nullptr, save, out, on_progress, {});
  }

 private:
  std::vector<TagExample> encoded(std::span<const nn::TaggedSentence> sentences) const {
    std::vector<TagExample> examples;
    for (size_t i = 0; i < sentences.size(); ++i) {
      try {
        add_tag_examples(sentences[i], start_.tokenizer, scheme_, examples);
      } catch (const DataError& error) {
        throw DataError(fmt::format("train_tagger: sentence {}: {}", i, error.what()));
      }
    }
    if (examples.empty()) throw ValueError("train_tagger: the sentences have no tokens beside the special ones");
    return examples;
  }

  Tensor loss(const TagBatch& batch, Generator& rng) const {
    return cross_entropy(model_.forward_at(batch.tokens, batch.rows, &rng), batch.labels,
                         {.label_smoothing = options_.label_smoothing});
  }

  ChunkedBatch in_chunks(std::shared_ptr<const TagBatch> batch) {
    const TagBatch& whole = *batch;
    run_.count(whole.tokens.sequences(), whole.tokens.tokens());
    return chunked_batch(whole.tokens.lengths(), whole.labelled, run_.plan().chunks, rng_, chunk_rng_,
                         [this, batch = std::move(batch)](std::int64_t first, std::int64_t last, Generator& rng) {
                           return loss(batch->part(first, last), rng);
                         });
  }

  // Preparing a batch takes a small part of a step's time, so there are no workers.
  nn::DataLoader<TagBatch> make_loader() const {
    const auto order =
        std::make_shared<nn::RandomSampler>(examples_.size(), nn::RandomSamplerOptions{.seed = options_.seed});
    return {nn::SpanDataset<TagExample>(examples_), collate_tags,
            std::make_shared<nn::FixedBatchSampler>(order, static_cast<size_t>(options_.batch))};
  }

  const TrainOptions& options_;
  Generator rng_, chunk_rng_;
  const nn::TagScheme scheme_;
  TaggerStart start_;
  nn::EncoderForTokenClassification model_;
  const std::vector<TagExample> examples_;
  nn::DataLoader<TagBatch> loader_ = make_loader();
  std::optional<AveragedModel> average_;
  TrainingRun run_;
};

}  // namespace

nn::TagScheme learn_tag_scheme(std::span<const nn::TaggedSentence> sentences) {
  std::set<std::string> types;
  bool bioes = false;
  for (const nn::TaggedSentence& sentence : sentences) {
    for (const std::string& one : sentence.tags) {
      const std::string tag = nn::normal_tag(one);
      bioes |= tag.front() == 'E' || tag.front() == 'S';
    }
    for (const nn::TagSpan& span : entities_of(sentence)) types.insert(span.type);
  }
  if (types.empty()) throw ValueError("train_tagger: no sentence has an entity; give data with tags such as B-PER");
  return nn::TagScheme::of_types(std::vector<std::string>(types.begin(), types.end()), bioes);
}

TrainResult train_tagger(std::span<const nn::TaggedSentence> sentences, const TrainOptions& options,
                         const std::filesystem::path& out, const OnProgress& on_progress, const RunOptions& run) {
  if (sentences.empty()) throw ValueError("train_tagger: there are no sentences");
  check_option_ranges(options);
  return TaggerTraining(sentences, options, run).run(out, on_progress);
}

}  // namespace qing::optim
