#include <qing/optim/train_classifier.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/bert.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/optim/clip.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/schedules.h>
#include <qing/tensor/denormals.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

using Clock = std::chrono::steady_clock;

// How fast the displayed loss follows the steps' own.
constexpr double kLossSmoothing = 0.98;
constexpr int64_t kEncodeGrain = 256;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check(const TrainOptions& o, std::span<const nn::Example> examples) {
  if (examples.empty()) throw ValueError("train_classifier: there are no examples");
  const auto at_least = [](const char* name, int64_t value, int64_t low) {
    if (value < low) throw ValueError(fmt::format("train_classifier: {} is {}; it must be at least {}", name, value, low));
  };
  at_least("batch", o.batch, 1);
  at_least("epochs", o.epochs, 1);
  at_least("max_length", o.max_length, 3);
  at_least("max_steps", o.max_steps, 0);
  at_least("heads", o.heads, 0);
  at_least("vocab", o.vocab, 6);
  if (!(o.warmup >= 0 && o.warmup <= 1)) {
    throw ValueError(fmt::format("train_classifier: warmup is {}; it is a share, 0 to 1", o.warmup));
  }
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

class Training {
 public:
  Training(std::span<const nn::Example> examples, const TrainOptions& options)
      : examples_(examples),
        options_(options),
        tokenizer_(train_tokenizer(examples, options)),
        encoded_(encode_all(examples, tokenizer_)),
        rng_(options.seed),
        model_(config_of(options, tokenizer_), rng_),
        order_(examples.size()) {
    model_.train();
    model_.set_requires_grad(true);
    std::iota(order_.begin(), order_.end(), size_t{0});
    const auto batches = (static_cast<int64_t>(examples.size()) + options.batch - 1) / options.batch;
    steps_ = options.epochs * batches;
    if (options.max_steps > 0) steps_ = std::min(steps_, options.max_steps);
    warmup_ = static_cast<int64_t>(std::lround(options.warmup * static_cast<double>(steps_)));
  }

  TrainResult run(const std::filesystem::path& out, const std::function<bool(const Progress&)>& on_progress,
                  const std::function<void(int64_t)>& on_epoch) {
    AdamW optimizer(groups_of(model_, options_));
    const FlushDenormals flush;
    const auto batch = static_cast<size_t>(options_.batch);
    for (int64_t epoch = 1; epoch <= options_.epochs && step_ < steps_ && !result_.interrupted; ++epoch) {
      shuffle();
      double epoch_loss = 0;
      int64_t epoch_steps = 0;
      size_t first = 0;
      for (; first < order_.size() && step_ < steps_ && !result_.interrupted; first += batch) {
        const double loss = step(optimizer, std::span(order_).subspan(first, std::min(batch, order_.size() - first)));
        epoch_loss += loss;
        ++epoch_steps;
        if (on_progress && !on_progress(progress(epoch, loss))) result_.interrupted = true;
      }
      result_.loss = epoch_loss / static_cast<double>(epoch_steps);
      nn::save_text_classifier(out, model_, tokenizer_);
      if (first < order_.size()) break;
      result_.epochs = epoch;
      if (on_epoch) on_epoch(epoch);
    }
    if (step_ >= steps_) result_.interrupted = false;  // asked to stop when there was nothing left to do
    result_.steps = step_;
    result_.seconds = seconds_;
    result_.tokens_per_second = static_cast<double>(tokens_) / seconds_;
    return result_;
  }

 private:
  void shuffle() {  // Fisher-Yates
    for (size_t i = order_.size() - 1; i > 0; --i) std::swap(order_[i], order_[rng_.below(i + 1)]);
  }

  double step(AdamW& optimizer, std::span<const size_t> chosen) {
    const auto start = Clock::now();
    std::vector<std::span<const int32_t>> sequences;
    std::vector<int32_t> labels;
    for (const size_t i : chosen) {
      sequences.emplace_back(encoded_[i]);
      labels.push_back(examples_[i].label);
    }
    const nn::RaggedBatch batch = nn::RaggedBatch::of(sequences);
    const Tensor targets = Tensor::from<int32_t>(std::span<const int32_t>(labels), {batch.sequences()});
    optimizer.zero_grad();
    const Tensor loss = cross_entropy(model_.forward(batch, &rng_), targets);
    backward(loss);
    clip_grad_norm(optimizer.parameters(), options_.clip);
    optimizer.set_lr(options_.lr * linear_warmup_decay(step_, warmup_, steps_));
    optimizer.step();
    ++step_;
    texts_ += batch.sequences();
    tokens_ += batch.tokens();
    seconds_ += seconds_since(start);
    const double value = loss.item();
    if (!std::isfinite(value)) {
      throw ValueError(fmt::format("train_classifier: the loss of step {} is {}; use a smaller learning rate than {}",
                                   step_, value, options_.lr));
    }
    return value;
  }

  Progress progress(int64_t epoch, double loss) {
    smoothed_ = step_ == 1 ? loss : kLossSmoothing * smoothed_ + (1 - kLossSmoothing) * loss;
    return {.step = step_,
            .steps = steps_,
            .epoch = epoch,
            .epochs = options_.epochs,
            .texts = texts_,
            .loss = smoothed_,
            .tokens_per_second = static_cast<double>(tokens_) / seconds_,
            .seconds_left = seconds_ / static_cast<double>(step_) * static_cast<double>(steps_ - step_)};
  }

  std::span<const nn::Example> examples_;
  const TrainOptions& options_;
  nn::Tokenizer tokenizer_;
  std::vector<std::vector<int32_t>> encoded_;
  Generator rng_;
  nn::BertForSequenceClassification model_;
  std::vector<size_t> order_;
  int64_t steps_ = 0, warmup_ = 0, step_ = 0, texts_ = 0, tokens_ = 0;
  double seconds_ = 0, smoothed_ = 0;
  TrainResult result_{};
};

}  // namespace

TrainResult train_classifier(std::span<const nn::Example> examples, const TrainOptions& options,
                             const std::filesystem::path& out,
                             const std::function<bool(const Progress&)>& on_progress,
                             const std::function<void(int64_t epoch)>& on_epoch) {
  check(options, examples);
  return Training(examples, options).run(out, on_progress, on_epoch);
}

}  // namespace qing::optim
