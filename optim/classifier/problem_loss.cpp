#include <qing/optim/classifier/problem_loss.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <qing/autograd/ops.h>
#include <qing/nn/data/unlabelled_texts.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

using nn::Problem;

[[noreturn]] void refuse_option(std::string_view name, Problem problem, std::string_view remedy) {
  throw ValueError(
      fmt::format("train_classifier: the option {} does not fit {} training; {}", name, name_of(problem), remedy));
}

void check_multi_label(const TrainOptions& o) {
  constexpr auto kProblem = Problem::multi_label;
  if (o.balance > 0) refuse_option("balance", kProblem, "the option positive_weight weighs rare labels");
  if (o.consistency > 0) refuse_option("consistency", kProblem, "leave it out");
  if (!o.extra_groups.empty()) {
    refuse_option("extra_groups", kProblem, "train on its texts as on all others if they have all their labels");
  }
  if (o.teacher_temperature != 1) refuse_option("teacher_temperature", kProblem, "leave it at 1");
}

void check_regression(const TrainOptions& o) {
  constexpr auto kProblem = Problem::regression;
  for (const auto& [name, value] : {std::pair("balance", o.balance), std::pair("consistency", o.consistency),
                                    std::pair("label_smoothing", o.label_smoothing),
                                    std::pair("ngram_min_texts", static_cast<double>(o.ngram_min_texts))}) {
    if (value > 0) refuse_option(name, kProblem, "leave it out");
  }
  if (!o.teachers.empty()) refuse_option("teachers", kProblem, "leave it out");
  if (!o.extra_groups.empty()) refuse_option("extra_groups", kProblem, "train on its texts as on all others");
}

void check_example(const TrainOptions& o, const nn::Example& example, size_t i) {
  const auto count = static_cast<int32_t>(o.labels.size());
  int32_t before = -1;
  for (const int32_t label : example.labels) {
    if (label < 0 || label >= count || label <= before) {
      throw ValueError(fmt::format(
          "train_classifier: example {} has label {}; with {} labels they must be in [0, {}), ascending, each once", i,
          label, count, count));
    }
    before = label;
  }
  if (!std::isfinite(example.value)) {
    throw ValueError(fmt::format("train_classifier: example {} has the value {}; it must be finite", i, example.value));
  }
  if (example.label == nn::kNoLabel) return;
  throw ValueError(fmt::format("train_classifier: example {} has label {}; in {} training it must be nn::kNoLabel", i,
                               example.label, name_of(o.problem())));
}

}  // namespace

void check_problem(const TrainOptions& o) {
  if (o.multi_label + o.ordinal + o.regression > 1) {
    throw ValueError(
        "train_classifier: multi_label, ordinal and regression are different kinds of training; set one of them to 1");
  }
  if (o.positive_weight > 0 && o.problem() != Problem::multi_label) {
    refuse_option("positive_weight", o.problem(), "the option balance corrects label frequencies there");
  }
  switch (o.problem()) {
    case Problem::multi_label: return check_multi_label(o);
    case Problem::regression: return check_regression(o);
    case Problem::ordinal:
      if (o.teacher_temperature != 1) refuse_option("teacher_temperature", Problem::ordinal, "leave it at 1");
      return;
    default: return;
  }
}

void check_problem_examples(const TrainOptions& o, std::span<const nn::Example> examples) {
  const bool one_each = o.problem() == Problem::single_label || o.problem() == Problem::ordinal;
  for (size_t i = 0; i < examples.size(); ++i) {
    if (!one_each) {
      check_example(o, examples[i], i);
    } else if (!examples[i].labels.empty()) {
      throw ValueError(fmt::format("train_classifier: example {} has several labels; set multi_label to 1", i));
    }
  }
}

Tensor positive_weights(std::span<const nn::Example> examples, const TrainOptions& o) {
  if (o.positive_weight == 0) return {};
  std::vector<int64_t> with(o.labels.size());
  int64_t texts = 0;
  for (const nn::Example& example : examples) {
    if (std::ranges::count(o.unlabelled_groups, example.group) > 0) continue;
    ++texts;
    for (const int32_t label : example.labels) ++with[static_cast<size_t>(label)];
  }
  std::vector<float> weights;
  for (const int64_t count : with) {
    const double ratio = count == 0 ? 1 : static_cast<double>(std::max<int64_t>(texts - count, 1)) / double(count);
    weights.push_back(static_cast<float>(std::pow(ratio, o.positive_weight)));
  }
  return Tensor::from<float>(std::span<const float>(weights), {std::ssize(weights)});
}

Tensor multi_label_loss(const Tensor& logits, const Tensor& targets, const Tensor& weights) {
  return binary_cross_entropy_with_logits(logits, targets, {}, Reduction::mean, weights);
}

Tensor ordinal_loss(const Tensor& logits, const Tensor& targets) {
  // The last sums are 1 on both sides, up to rounding.
  const Tensor difference = cumsum(softmax(logits, -1) - targets, -1);
  return sum(difference * difference) / static_cast<double>(logits.size(0));
}

TargetUnits units_of(std::span<const nn::Example> examples) {
  TargetUnits units;
  if (examples.empty()) return units;
  const auto count = static_cast<double>(examples.size());
  for (const nn::Example& example : examples) units.mean += example.value / count;
  double variance = 0;
  for (const nn::Example& example : examples) {
    variance += (example.value - units.mean) * (example.value - units.mean) / count;
  }
  if (variance > 0) units.deviation = std::sqrt(variance);
  return units;
}

}  // namespace qing::optim
