#include <qing/optim/classifier/train_options.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/data/unlabelled_texts.h>
#include <qing/nn/models/label_names.h>
#include <qing/nn/utf8.h>
#include <qing/optim/classifier/problem_loss.h>
#include <qing/optim/classifier/teachers.h>
#include <qing/optim/classifier/train_option_table.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

constexpr int32_t kMaxGroups = 1 << 16;

bool is_in(const std::vector<int32_t>& groups, int32_t group) { return std::ranges::count(groups, group) > 0; }

void check_labels(const TrainOptions& o, std::span<const nn::Example> examples) {
  const std::vector<std::string>& labels = o.labels;
  const nn::Problem problem = o.problem();
  const size_t fewest = problem == nn::Problem::multi_label || problem == nn::Problem::regression ? 1 : 2;
  if (labels.size() < fewest || (problem == nn::Problem::regression && labels.size() > 1)) {
    throw ValueError(fmt::format(
        "train_classifier: there are {} labels; there must be {}", labels.size(),
        problem == nn::Problem::regression ? "1, the name of the number" : fmt::format("at least {}", fewest)));
  }
  try {
    nn::check_label_names(labels);
  } catch (const ValueError& error) { throw ValueError(fmt::format("train_classifier: {}", error.what())); }
  check_problem_examples(o, examples);
  for (size_t i = 0; i < examples.size(); ++i) {
    const int32_t label = examples[i].label;
    if (is_in(o.unlabelled_groups, examples[i].group)) {
      if (label == nn::kNoLabel) continue;
      throw ValueError(fmt::format("train_classifier: example {} has label {}, but its group {} has none", i, label,
                                   examples[i].group));
    }
    if (problem == nn::Problem::multi_label || problem == nn::Problem::regression) continue;
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

void check_teachers(const TrainOptions& o) {
  if (!o.teacher_groups.empty() && o.teacher_groups.size() != o.teachers.size()) {
    throw ValueError(fmt::format("train_classifier: teacher_groups has {} lists for {} teachers",
                                 o.teacher_groups.size(), o.teachers.size()));
  }
  for (const int32_t group : o.unlabelled_groups) {
    if (has_teacher(o, group)) continue;
    throw ValueError(
        fmt::format("train_classifier: the texts of group {} have neither labels nor a teacher; give one", group));
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

void check_train_options(const TrainOptions& o, size_t examples) {
  if (examples == 0) throw ValueError("train_classifier: there are no examples");
  check_option_ranges(o);
  check_problem(o);
  check_fine_tuning(o);
  check_teachers(o);
  const int64_t most_epochs = kMaxSteps / batches_of_epoch(o, examples);
  if (o.epochs > most_epochs) {
    throw ValueError(fmt::format("train_classifier: epochs is {}; it must be in [1, {}]", o.epochs, most_epochs));
  }
}

void check_train_options(const TrainOptions& o, std::span<const nn::Example> examples) {
  check_train_options(o, examples.size());
  check_labels(o, examples);
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto at = nn::find_invalid_utf8(examples[i].text);
    if (!at) continue;
    throw ValueError(
        fmt::format("train_classifier: the text of example {} is not UTF-8 at byte {}; encode it as UTF-8", i, *at));
  }
  if (std::all_of(examples.begin(), examples.end(), [&](const nn::Example& example) {
        return is_in(o.extra_groups, example.group) || is_in(o.unlabelled_groups, example.group);
      })) {
    throw ValueError("train_classifier: all examples are of extra groups or without labels; there must be others");
  }
}

}  // namespace qing::optim
