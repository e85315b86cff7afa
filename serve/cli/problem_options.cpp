#include <qing/serve/cli/problem_options.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/pretrained.h>
#include <qing/optim/classifier/problem_loss.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/dev_scores.h>
#include <qing/serve/runs/training_labels.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

void set_flag(TrainArguments& arguments, int64_t optim::TrainOptions::*flag, const char* option) {
  arguments.options.*flag = 1;
  set_values(arguments.settings, option, {"1"});
}

// The kind of the model to begin with, if it has a head that is known.
void take_over(TrainArguments& arguments, bool tells) {
  if (arguments.problem_given || arguments.options.from.empty()) return;
  const nn::ClassifierConfig config =
      nn::ClassifierConfig::load_for_fine_tuning(arguments.options.from / nn::kConfigFile);
  if (config.labels.empty()) return;
  const char* option = nullptr;
  switch (config.problem) {
    case nn::Problem::multi_label:
      set_flag(arguments, &optim::TrainOptions::multi_label, option = "multi-label");
      break;
    case nn::Problem::ordinal: set_flag(arguments, &optim::TrainOptions::ordinal, option = "ordinal"); break;
    case nn::Problem::regression: set_flag(arguments, &optim::TrainOptions::regression, option = "regression"); break;
    default: return;
  }
  if (!tells) return;
  fmt::print(stderr, "{} is a {} model, and so is the new one; --{} 0 trains single labels\n",
             arguments.options.from.string(), name_of(config.problem), option);
}

// Columns of one label each, and fields with separators, are several labels.
void take_several_labels(TrainArguments& arguments, bool tells) {
  const char* const option = !arguments.table.label_columns.empty()     ? "--label-columns"
                             : !arguments.table.label_separator.empty() ? "--label-separator"
                                                                        : nullptr;
  if (option == nullptr) return;
  if (!arguments.problem_given) {
    arguments.problem_given = true;
    set_flag(arguments, &optim::TrainOptions::multi_label, "multi-label");
    if (tells) fmt::print(stderr, "{}: trains several labels, as --multi-label 1 does\n", option);
  }
  if (arguments.options.multi_label == 0) {
    throw UsageError(fmt::format("{}: is for several labels a text; train them with --multi-label 1", option));
  }
}

void choose_measure(TrainArguments& arguments) {
  const std::vector<Measure> measures = measures_of(arguments.options.problem());
  if (arguments.best.empty()) {
    arguments.best = measures.front().name;
    set_values(arguments.settings, "best", {arguments.best});
  }
  if (std::ranges::find(measures, arguments.best, &Measure::name) != measures.end()) return;
  std::vector<std::string_view> names;
  names.reserve(measures.size());
  for (const Measure& measure : measures) names.push_back(measure.name);
  throw UsageError(fmt::format("--best {}: {} training has no such measure; choose one of {}", arguments.best,
                               name_of(arguments.options.problem()), fmt::join(names, ", ")));
}

}  // namespace

void choose_problem(TrainArguments& arguments, nn::DatasetOptions& reading, bool tells) {
  take_several_labels(arguments, tells);
  take_over(arguments, tells);
  optim::TrainOptions flags = arguments.options;
  if (!arguments.extra.empty()) flags.extra_groups = {0};  // the real ones are known when the files are read
  try {
    optim::check_problem(flags);
  } catch (const ValueError& error) { throw UsageError(error.what()); }
  choose_measure(arguments);
  reading.problem = arguments.options.problem();
}

void order_labels(TrainArguments& arguments, bool learned) {
  std::vector<std::string>& labels = arguments.options.labels;
  if (arguments.options.ordinal == 0) return;
  if (!are_numbers(labels)) {
    if (!learned) return;
    throw UsageError(
        fmt::format("--ordinal 1: the labels {} are not all numbers, so their order is unknown; give them "
                    "from the lowest to the highest: --labels A,B,C",
                    fmt::join(labels, ", ")));
  }
  if (learned) {
    sort_by_number(labels);
    set_values(arguments.settings, "labels", labels);
  } else if (!ascend(labels)) {
    throw UsageError(
        fmt::format("--labels {}: with --ordinal 1 numbers must ascend; give them from the lowest to the highest",
                    fmt::join(labels, ",")));
  }
}

}  // namespace qing::serve::cli
