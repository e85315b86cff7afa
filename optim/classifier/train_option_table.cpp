#include <qing/optim/classifier/train_option_table.h>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

using O = TrainOptions;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr auto kMaxCount = static_cast<double>(kMaxSteps);

constexpr OptionRange within(double low, double high) { return {low, high}; }
constexpr OptionRange at_least(double low) { return {low, kInfinity, false, true}; }
constexpr OptionRange above(double low) { return {low, kInfinity, true, true}; }
constexpr OptionRange kShare = {0, 1};
constexpr OptionRange kBelowOne = {0, 1, false, true};
constexpr OptionRange kAny = {-kInfinity, kInfinity};

constexpr const char* kModel = "Model";
constexpr const char* kTraining = "Training";
constexpr const char* kRegularization = "Regularization";
constexpr const char* kNgrams = "N-grams";
constexpr const char* kTeachers = "Distillation";

// The upper bounds of sizes keep their products inside int64.
const TrainOption kTable[] = {
    {"labels", &O::labels, kAny, kModel, "Names of the labels, separated by commas"},
    {"layers", &O::layers, within(1, 1000), kModel, "Number of encoder layers"},
    {"width", &O::width, within(1, 65536), kModel, "Hidden size"},
    {"heads", &O::heads, within(0, 65536), kModel, "Number of attention heads. 0 means width / 32"},
    {"vocab", &O::vocab, within(6, 1 << 24), kModel, "Maximum vocabulary size"},
    {"max_length", &O::max_length, within(3, 65536), kModel, "Maximum tokens per text. Longer texts are truncated"},
    {"epochs", &O::epochs, within(1, kMaxCount), kTraining, "Number of epochs"},
    {"max_steps", &O::max_steps, within(0, kMaxCount), kTraining, "Maximum number of steps. 0 means no limit"},
    {"batch", &O::batch, within(1, 1 << 20), kTraining, "Batch size, in texts"},
    {"lr", &O::lr, above(0), kTraining, "Learning rate at the peak of the schedule"},
    {"warmup", &O::warmup, kShare, kTraining, "Fraction of the steps in which the learning rate rises to its peak"},
    {"weight_decay", &O::weight_decay, at_least(0), kTraining,
     "Weight decay (AdamW) of matrices. Biases and layer norms have none"},
    {"clip", &O::clip, above(0), kTraining, "Maximum gradient norm"},
    {"ema", &O::ema, kBelowOne, kTraining,
     "Decay of the exponential moving average of the weights. The average is what is saved. 0 disables it"},
    {"extra_share", &O::extra_share, kShare, kTraining, "Fraction of the --extra texts that each epoch takes"},
    {"precision", &O::precision, kAny, kTraining,
     "Precision of matrix products: f32, or bf16 with sums in f32. All other arithmetic is f32"},
    {"seed", &O::seed, kAny, kTraining, "Random seed"},
    {"dropout", &O::dropout, kBelowOne, kRegularization, "Dropout probability"},
    {"word_dropout", &O::word_dropout, kBelowOne, kRegularization,
     "Word dropout: fraction of a text's tokens replaced by [MASK] in training"},
    {"label_smoothing", &O::label_smoothing, kBelowOne, kRegularization,
     "Label smoothing: fraction of each target spread evenly over the labels"},
    {"balance", &O::balance, at_least(0), kRegularization,
     "Strength of the correction for label frequencies in each file (logit adjustment). 0 learns the frequencies, 1 "
     "treats all labels as equally frequent"},
    {"consistency", &O::consistency, at_least(0), kRegularization,
     "Weight of the R-Drop loss, the divergence between two dropout passes. 0 disables it"},
    {"teachers", &O::teachers, kAny, kTeachers, "Model folder of a teacher. Repeat the option for several teachers",
     "teacher"},
    {"teacher_share", &O::teacher_share, kShare, kTeachers,
     "Weight of the teachers' predictions in each target. The label has the rest"},
    {"ngram_min_texts", &O::ngram_min_texts, within(0, 1 << 24), kNgrams,
     "Minimum document frequency of an n-gram, in texts. N-grams that reach it get a linear model beside the "
     "encoder. 0 disables n-grams",
     "ngrams"},
    {"ngram_dropout", &O::ngram_dropout, kBelowOne, kNgrams, "Fraction of a text's n-grams dropped in training"},
    {"ngram_lr", &O::ngram_lr, at_least(0), kNgrams, "Learning rate of the n-gram weights at the peak of the schedule"},
    {"ngram_weight_decay", &O::ngram_weight_decay, at_least(0), kNgrams, "Weight decay of the n-gram weights"},
};

}  // namespace

bool OptionRange::contains(double value) const noexcept {
  return (without_low ? value > low : value >= low) && (without_high ? value < high : value <= high);
}

bool OptionRange::contains(int64_t value) const noexcept {
  return value >= static_cast<int64_t>(low) && value <= static_cast<int64_t>(high);
}

std::string OptionRange::text() const {
  if (high == kInfinity) return fmt::format("finite and {} {}", without_low ? "above" : "at least", low);
  // Whole numbers are printed in full, not as 1.6777216e+07.
  const auto shown = [](double bound) {
    const bool whole = bound == static_cast<double>(static_cast<int64_t>(bound));
    return whole ? fmt::format("{}", static_cast<int64_t>(bound)) : fmt::format("{}", bound);
  };
  return fmt::format("in {}{}, {}{}", without_low ? '(' : '[', shown(low), shown(high), without_high ? ')' : ']');
}

std::string TrainOption::option_name() const {
  if (option != nullptr) return option;
  std::string dashed = name;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return dashed;
}

std::span<const TrainOption> train_option_table() { return kTable; }

void check_option_ranges(const TrainOptions& options) {
  for (const TrainOption& option : train_option_table()) {
    const auto check = [&](auto member) {
      const auto& value = options.*member;
      using T = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, double>) {
        if (option.range.contains(value)) return;
        throw ValueError(
            fmt::format("train_classifier: {} is {}; it must be {}", option.name, value, option.range.text()));
      }
    };
    std::visit(check, option.member);
  }
}

}  // namespace qing::optim
