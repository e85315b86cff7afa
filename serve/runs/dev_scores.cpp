#include <qing/serve/runs/dev_scores.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include <qing/nn/calibration.h>
#include <qing/nn/scale_metrics.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/runs/number_evaluation.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

constexpr size_t kOfSingleLabels = 4;
constexpr std::array<Measure, 11> kMeasures = {{{"macro_recall", "macro-recall", &DevScore::macro_recall, true},
                                                {"accuracy", "accuracy", &DevScore::accuracy, true},
                                                {"macro_f1", "macro-F1", &DevScore::macro_f1, true},
                                                {"loss", "log loss", &DevScore::loss, false},
                                                {"micro_f1", "micro-F1", nullptr, true},
                                                {"subset_accuracy", "subset accuracy", nullptr, true},
                                                {"kappa", "quadratic weighted kappa", nullptr, true},
                                                {"mae", "mean absolute error", nullptr, false},
                                                {"mse", "mean squared error", nullptr, false},
                                                {"pearson", "Pearson correlation", nullptr, true},
                                                {"spearman", "Spearman correlation", nullptr, true}}};

SetScores multi_label_scores(MultiLabelEvaluation& one) {
  const nn::MultiLabelCounts counts = one.counts();
  return {.name = {},
          .values = {{"micro_f1", counts.micro().f1},
                     {"macro_f1", counts.macro().f1},
                     {"subset_accuracy", counts.subset_accuracy()},
                     {"loss", one.log_loss()}},
          .text = {}};
}

SetScores ordinal_scores(const Evaluation& one) {
  return {.name = {},
          .values = {{"kappa", nn::quadratic_weighted_kappa(one.all)},
                     {"mae", nn::mean_absolute_error(one.all, one.places)},
                     {"accuracy", one.all.accuracy()},
                     {"macro_recall", one.all.macro_recall()},
                     {"macro_f1", one.all.macro_f1()},
                     {"loss", nn::log_loss(one.labelled_logits())}},
          .text = {}};
}

SetScores number_scores(const NumberEvaluation& one) {
  return {.name = {},
          .values = {{"mse", nn::mean_squared_error(one.expected, one.predicted)},
                     {"mae", nn::mean_absolute_error(one.expected, one.predicted)},
                     {"pearson", nn::pearson_correlation(one.expected, one.predicted)},
                     {"spearman", nn::spearman_correlation(one.expected, one.predicted)}},
          .text = {}};
}

std::vector<SetScores> all_set_scores(const nn::TextClassifier& model, std::span<const LabelledFile> dev) {
  std::vector<SetScores> scores;
  switch (model.problem()) {
    case nn::Problem::multi_label: {
      std::vector<MultiLabelEvaluation> all;
      for (const LabelledFile& file : dev) all.push_back(evaluate_multi_label(model, file.examples));
      const std::vector<double> thresholds = fit_thresholds(all);
      for (MultiLabelEvaluation& one : all) {
        one.decide(thresholds);
        scores.push_back(multi_label_scores(one));
      }
      return scores;
    }
    case nn::Problem::regression:
      for (const LabelledFile& file : dev) scores.push_back(number_scores(evaluate_numbers(model, file.examples)));
      return scores;
    default:
      for (const LabelledFile& file : dev) scores.push_back(ordinal_scores(evaluate(model, file.examples)));
      return scores;
  }
}

}  // namespace

double Measure::score(std::span<const DevScore> sets) const {
  double mean = 0;
  for (const DevScore& set : sets) mean += set.*value / static_cast<double>(sets.size());
  return greater_is_better ? mean : -mean;
}

double Measure::score(std::span<const SetScores> sets) const {
  double mean = 0;
  for (const SetScores& set : sets) mean += set.score / static_cast<double>(sets.size());
  return mean;
}

std::span<const Measure> measures() { return std::span(kMeasures).first(kOfSingleLabels); }

std::vector<Measure> measures_of(nn::Problem problem) {
  const auto named = [](std::initializer_list<std::string_view> names) {
    std::vector<Measure> chosen;
    for (const std::string_view name : names) chosen.push_back(measure_of(name));
    return chosen;
  };
  switch (problem) {
    case nn::Problem::multi_label: return named({"micro_f1", "macro_f1", "subset_accuracy", "loss"});
    case nn::Problem::ordinal: return named({"kappa", "mae", "accuracy", "macro_recall", "macro_f1", "loss"});
    case nn::Problem::regression: return named({"mse", "mae", "pearson", "spearman"});
    default: return {measures().begin(), measures().end()};
  }
}

const Measure& measure_of(std::string_view name) {
  const auto found = std::ranges::find(kMeasures, name, &Measure::name);
  if (found == kMeasures.end()) throw ValueError(fmt::format("measure: there is no '{}'", name));
  return *found;
}

std::vector<std::string> measure_names() {
  std::vector<std::string> names;
  names.reserve(std::size(kMeasures));
  for (const Measure& measure : kMeasures) names.emplace_back(measure.name);
  return names;
}

std::vector<DevScore> score_dev(const std::filesystem::path& folder, std::span<const LabelledFile> dev) {
  const auto model = nn::TextClassifier::load(folder);
  std::vector<DevScore> scores;
  for (const LabelledFile& file : dev) {
    const Evaluation one = evaluate(*model, file.examples);
    scores.push_back({file.name, one.all.accuracy(), one.all.macro_recall(), one.all.macro_f1(),
                      nn::log_loss(one.labelled_logits())});
  }
  return scores;
}

std::vector<SetScores> score_sets(const std::filesystem::path& folder, std::span<const LabelledFile> dev,
                                  const Measure& measure) {
  const auto model = nn::TextClassifier::load(folder);
  std::vector<SetScores> scores = all_set_scores(*model, dev);
  for (size_t i = 0; i < scores.size(); ++i) {
    SetScores& set = scores[i];
    set.name = dev[i].name;
    const double value = value_of(set, measure.name);
    set.score = measure.greater_is_better ? value : -value;
    for (const auto& [name, number] : set.values) {
      set.text += fmt::format("{}{} {:.4f}", set.text.empty() ? "" : ", ", measure_of(name).noun, number);
    }
    set.text += fmt::format(" ({})", how_many(dev[i].examples.size(), "text"));
  }
  return scores;
}

}  // namespace qing::serve::cli
