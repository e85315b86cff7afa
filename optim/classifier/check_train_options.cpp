#include <qing/optim/classifier/train_options.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/models/label_names.h>
#include <qing/optim/classifier/train_option_table.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

constexpr int32_t kMaxGroups = 1 << 16;

void check_labels(const std::vector<std::string>& labels, std::span<const nn::Example> examples) {
  if (labels.size() < 2) {
    throw ValueError(fmt::format("train_classifier: there are {} labels; there must be at least 2", labels.size()));
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

void check_fine_tuning(const TrainOptions& o) {
  if (o.head_only != 0 && o.lora_rank > 0) {
    throw ValueError("train_classifier: head_only and lora_rank exclude each other; leave one of them out");
  }
  if (!o.from.empty()) return;
  for (const auto& [name, value] : {std::pair("head_only", o.head_only), std::pair("lora_rank", o.lora_rank),
                                    std::pair("prune_vocab", o.prune_vocab)}) {
    if (value == 0) continue;
    throw ValueError(fmt::format("train_classifier: {} needs a model to fine-tune; name its folder in `from`", name));
  }
}

}  // namespace

int64_t batches_of_epoch(const TrainOptions& o, size_t examples) {
  return (static_cast<int64_t>(examples) - 1) / o.batch + 1;
}

void check_train_options(const TrainOptions& o, std::span<const nn::Example> examples) {
  if (examples.empty()) throw ValueError("train_classifier: there are no examples");
  check_option_ranges(o);
  check_fine_tuning(o);
  const int64_t most_epochs = kMaxSteps / batches_of_epoch(o, examples.size());
  if (o.epochs > most_epochs) {
    throw ValueError(fmt::format("train_classifier: epochs is {}; it must be in [1, {}]", o.epochs, most_epochs));
  }
  check_labels(o.labels, examples);
  if (std::all_of(examples.begin(), examples.end(), [&](const nn::Example& example) {
        return std::count(o.extra_groups.begin(), o.extra_groups.end(), example.group) > 0;
      })) {
    throw ValueError("train_classifier: all examples are of extra groups; there must be some of another");
  }
}

}  // namespace qing::optim
