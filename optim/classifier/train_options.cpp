#include <qing/optim/classifier/train_options.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/models/label_names.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

// No size of a model or a text is above: keeps their products inside int64.
constexpr int64_t kMaxSize = int64_t{1} << 24;
constexpr int32_t kMaxGroups = 1 << 16;
// Of all epochs together: counts up to here are exact as doubles.
constexpr int64_t kMaxSteps = int64_t{1} << 53;

void check_labels(const std::vector<std::string>& labels, std::span<const nn::Example> examples) {
  if (labels.size() < 2) {
    throw ValueError(fmt::format("train_classifier: there are {} labels; it takes 2 to tell apart", labels.size()));
  }
  try {
    nn::check_label_names(labels);
  } catch (const ValueError& error) { throw ValueError(fmt::format("train_classifier: {}", error.what())); }
  for (size_t i = 0; i < examples.size(); ++i) {
    const int32_t label = examples[i].label;
    if (label >= 0 && static_cast<size_t>(label) < labels.size()) continue;
    throw ValueError(fmt::format("train_classifier: example {} has label {}; with {} labels it must be in [0, {})", i,
                                 label, labels.size(), labels.size()));
  }
  for (size_t i = 0; i < examples.size(); ++i) {
    if (examples[i].group >= 0 && examples[i].group < kMaxGroups) continue;
    throw ValueError(fmt::format("train_classifier: example {} is of group {}; it must be in [0, {})", i,
                                 examples[i].group, kMaxGroups));
  }
}

}  // namespace

int64_t batches_of_epoch(const TrainOptions& o, size_t examples) {
  return (static_cast<int64_t>(examples) - 1) / o.batch + 1;
}

void check_train_options(const TrainOptions& o, std::span<const nn::Example> examples) {
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
  between("epochs", o.epochs, 1, kMaxSteps / batches_of_epoch(o, examples.size()));
  between("ngram_min_texts", o.ngram_min_texts, 0, kMaxSize);
  for (const auto& [name, value] :
       {std::pair("warmup", o.warmup), {"extra_share", o.extra_share}, {"teacher_share", o.teacher_share}}) {
    if (value >= 0 && value <= 1) continue;
    throw ValueError(fmt::format("train_classifier: {} is {}; it is a share, 0 to 1", name, value));
  }
  const auto below_one = [](const char* name, double value) {
    if (value >= 0 && value < 1) return;
    throw ValueError(fmt::format("train_classifier: {} is {}; it must be in [0, 1)", name, value));
  };
  below_one("word_dropout", o.word_dropout);
  below_one("ngram_dropout", o.ngram_dropout);
  below_one("ema", o.ema);
  below_one("label_smoothing", o.label_smoothing);
  for (const auto& [name, value] : {std::pair("balance", o.balance), {"consistency", o.consistency}}) {
    if (value >= 0 && std::isfinite(value)) continue;
    throw ValueError(fmt::format("train_classifier: {} is {}; it must be finite and at least 0", name, value));
  }
  check_labels(o.labels, examples);
  if (std::all_of(examples.begin(), examples.end(), [&](const nn::Example& example) {
        return std::count(o.extra_groups.begin(), o.extra_groups.end(), example.group) > 0;
      })) {
    throw ValueError("train_classifier: all examples are of extra groups; there must be some of another");
  }
}

}  // namespace qing::optim
