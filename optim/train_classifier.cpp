#include <qing/optim/train_classifier.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <qing/autograd/ops.h>
#include <qing/nn/models/bert.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/trainer.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

// How fast the displayed loss follows the steps' own.
constexpr double kLossSmoothing = 0.98;
constexpr int64_t kEncodeGrain = 256;

// No size of a model or a text is above: keeps their products inside int64.
constexpr int64_t kMaxSize = int64_t{1} << 24;
// Of all epochs together: counts up to here are exact as doubles.
constexpr int64_t kMaxSteps = int64_t{1} << 53;

int64_t batches_of(const TrainOptions& o, size_t examples) {
  return (static_cast<int64_t>(examples) - 1) / o.batch + 1;
}

void check_labels(const std::vector<std::string>& labels, std::span<const nn::Example> examples) {
  if (labels.size() < 2) {
    throw ValueError(fmt::format("train_classifier: there are {} labels; it takes 2 to tell apart", labels.size()));
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].empty() || std::count(labels.begin(), labels.end(), labels[i]) > 1) {
      throw ValueError(
          fmt::format("train_classifier: label {} is '{}'; labels must differ and not be empty", i, labels[i]));
    }
  }
  for (size_t i = 0; i < examples.size(); ++i) {
    const int32_t label = examples[i].label;
    if (label >= 0 && static_cast<size_t>(label) < labels.size()) continue;
    throw ValueError(fmt::format("train_classifier: example {} has label {}; with {} labels it must be in [0, {})", i,
                                 label, labels.size(), labels.size()));
  }
}

void check(const TrainOptions& o, std::span<const nn::Example> examples) {
  if (examples.empty()) throw ValueError("train_classifier: there are no examples");
  const auto between = [](const char* name, int64_t value, int64_t low, int64_t high) {
    if (value >= low && value <= high) return;
    throw ValueError(fmt::format("train_classifier: {} is {}; it must be in [{}, {}]", name, value, low, high));
  };
  between("layers", o.layers, 1, kMaxSize);
  between("width", o.width, 1, kMaxSize / 4);  // the inner layers are four times as wide
  between("batch", o.batch, 1, kMaxSize);
  between("max_length", o.max_length, 3, kMaxSize);
  between("max_steps", o.max_steps, 0, kMaxSteps);
  between("heads", o.heads, 0, kMaxSize);
  between("vocab", o.vocab, 6, kMaxSize);
  between("epochs", o.epochs, 1, kMaxSteps / batches_of(o, examples.size()));
  if (!(o.warmup >= 0 && o.warmup <= 1)) {
    throw ValueError(fmt::format("train_classifier: warmup is {}; it is a share, 0 to 1", o.warmup));
  }
  check_labels(o.labels, examples);
}

nn::BertConfig config_of(const TrainOptions& o, const nn::Tokenizer& tokenizer) {
  nn::BertConfig config;
  config.vocab_size = tokenizer.vocab_size();
  config.hidden_size = o.width;
  config.num_hidden_layers = o.layers;
  config.num_attention_heads = o.heads > 0 ? o.heads : std::max<int64_t>(1, o.width / 32);
  config.intermediate_size = 4 * o.width;
  config.max_position_embeddings = o.max_length;
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = o.dropout;
  config.pad_token_id = tokenizer.pad_id();
  config.labels = o.labels;
  return config;
}

nn::Tokenizer train_tokenizer(std::span<const nn::Example> examples, const TrainOptions& o) {
  std::vector<std::string> texts;
  texts.reserve(examples.size());
  for (const nn::Example& example : examples) texts.push_back(example.text);
  const nn::TokenizerOptions options{.lowercase = true, .max_length = static_cast<int32_t>(o.max_length)};
  return nn::Tokenizer(nn::train_wordpiece(texts, static_cast<int32_t>(o.vocab), options), options);
}

std::vector<std::vector<int32_t>> encode_all(std::span<const nn::Example> examples, const nn::Tokenizer& tokenizer) {
  std::vector<std::vector<int32_t>> encoded(examples.size());
  parallel_for(static_cast<int64_t>(examples.size()), kEncodeGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) encoded[i] = tokenizer.encode(examples[i].text).ids;
  });
  return encoded;
}

// Weight decay is for matrices: it would pull biases and the scales of norms away from where they belong.
std::vector<ParameterGroup<AdamWOptions>> groups_of(nn::Module& model, const TrainOptions& o) {
  const AdamWOptions options{.lr = o.lr, .weight_decay = o.weight_decay};
  std::vector<ParameterGroup<AdamWOptions>> groups = {{{}, options}, {{}, options}};
  groups[1].options.weight_decay = 0;
  for (const Tensor& parameter : model.parameters()) groups[parameter.dim() > 1 ? 0 : 1].parameters.push_back(parameter);
  return groups;
}

bool is_permutation(std::span<const int64_t> order) {
  std::vector<bool> seen(order.size());
  for (const int64_t i : order) {
    if (i < 0 || static_cast<size_t>(i) >= order.size() || seen[static_cast<size_t>(i)]) return false;
    seen[static_cast<size_t>(i)] = true;
  }
  return true;
}

class Training : private Stateful {
 public:
  Training(std::span<const nn::Example> examples, const TrainOptions& options)
      : examples_(examples),
        options_(options),
        tokenizer_(train_tokenizer(examples, options)),
        encoded_(encode_all(examples, tokenizer_)),
        rng_(options.seed),
        model_(config_of(options, tokenizer_), rng_),
        order_(examples.size()) {
    model_.set_requires_grad(true);
    std::iota(order_.begin(), order_.end(), size_t{0});
    steps_ = options.epochs * batches_of(options, examples.size());
    if (options.max_steps > 0) steps_ = std::min(steps_, options.max_steps);
    warmup_ = static_cast<int64_t>(std::lround(options.warmup * static_cast<double>(steps_)));
  }

  TrainResult run(const std::filesystem::path& out, const std::function<bool(const Progress&)>& on_progress,
                  const std::function<void(int64_t)>& on_epoch, const RunOptions& run) {
    AdamW optimizer(groups_of(model_, options_));
    LrScheduler schedule(optimizer, [this](double base, int64_t step) {
      return base * linear_warmup_decay(step, warmup_, steps_);
    });
    optimizer_ = &optimizer;
    double best = -std::numeric_limits<double>::infinity();
    int64_t saved = -1;
    const auto save = [&](const std::filesystem::path& folder) {
      nn::save_text_classifier(folder, model_, tokenizer_);
      saved = now_.step;
    };
    TrainerOptions trainer{.max_epochs = options_.epochs, .max_steps = steps_, .clip_norm = options_.clip};
    trainer.precision = options_.precision;
    trainer.schedule = &schedule;
    trainer.rng = &rng_;
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
        save(run.last);
        const double score = run.evaluate(run.last, now_);
        if (score > best) save(out);
        best = std::max(best, score);
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
    const TrainerResult result = Trainer(model_, optimizer, source(), trainer).run();
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
  LossSource source() {
    return {.has_next = [this] { return next_ < order_.size(); },
            .next = [this] { return next_loss(); },
            .begin_epoch = [this](int64_t) { shuffle(); },
            .save = [] { return std::string(); },  // the position is in state_dict()
            .load = [](const std::string&) {}};
  }

  // An epoch's order is shuffled from that of the one before.
  StateDict state_dict() const override {
    const std::vector<int64_t> order(order_.begin(), order_.end());
    return {{"order", Tensor::from<int64_t>(std::span(order), {static_cast<int64_t>(order.size())})},
            {"next", integer_state(static_cast<int64_t>(next_))},
            {"texts", integer_state(texts_)},
            {"smoothed", number_state(smoothed_)}};
  }

  void load_state_dict(const StateDict& state) override {
    StateReader from("train_classifier: load_state_dict", state);
    const Tensor order = from.tensor("order", {static_cast<int64_t>(order_.size())}, DType::i64);
    const int64_t next = from.integer("next", 0), texts = from.integer("texts", 0);
    const double smoothed = from.number("smoothed");
    if (order.defined() && !is_permutation(order.span<int64_t>())) from.mismatch("order is no order of the examples");
    if (next > static_cast<int64_t>(order_.size())) from.mismatch("next is beyond the examples");
    from.finish();
    std::copy_n(order.data<int64_t>(), order_.size(), order_.begin());
    next_ = static_cast<size_t>(next);
    texts_ = texts;
    smoothed_ = smoothed;
  }

  void shuffle() {  // Fisher-Yates
    for (size_t i = order_.size() - 1; i > 0; --i) std::swap(order_[i], order_[rng_.below(i + 1)]);
    next_ = 0;
  }

  Tensor next_loss() {
    now_.lr = optimizer_->lr();
    const size_t count = std::min(static_cast<size_t>(options_.batch), order_.size() - next_);
    std::vector<std::span<const int32_t>> sequences;
    std::vector<int32_t> labels;
    for (const size_t i : std::span(order_).subspan(next_, count)) {
      sequences.emplace_back(encoded_[i]);
      labels.push_back(examples_[i].label);
    }
    next_ += count;
    const nn::RaggedBatch batch = nn::RaggedBatch::of(sequences);
    const Tensor targets = Tensor::from<int32_t>(std::span<const int32_t>(labels), {batch.sequences()});
    texts_ += batch.sequences();
    tokens_ += batch.tokens();
    return cross_entropy(model_.forward(batch, &rng_), targets);
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

  std::span<const nn::Example> examples_;
  const TrainOptions& options_;
  nn::Tokenizer tokenizer_;
  std::vector<std::vector<int32_t>> encoded_;
  Generator rng_;
  nn::BertForSequenceClassification model_;
  std::vector<size_t> order_;
  size_t next_ = 0;  // of order_
  int64_t steps_ = 0, warmup_ = 0, texts_ = 0;
  int64_t tokens_ = 0, first_step_ = 0;  // of this process, as are the seconds
  double seconds_ = 0, smoothed_ = 0;
  Progress now_{};
  const Optimizer* optimizer_ = nullptr;
};

}  // namespace

TrainResult train_classifier(std::span<const nn::Example> examples, const TrainOptions& options,
                             const std::filesystem::path& out,
                             const std::function<bool(const Progress&)>& on_progress,
                             const std::function<void(int64_t epoch)>& on_epoch, const RunOptions& run) {
  check(options, examples);
  if (run.evaluate && run.last.empty()) {
    throw ValueError("train_classifier: evaluate needs the folder `last` to write what it evaluates to");
  }
  return Training(examples, options).run(out, on_progress, on_epoch, run);
}

}  // namespace qing::optim
