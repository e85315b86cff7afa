#include <qing/serve/reports/measured_problem.h>

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

#include <qing/serve/common/how_many.h>
#include <qing/serve/reports/precision_recall_chart.h>
#include <qing/serve/reports/problem_sections.h>
#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/runs/number_evaluation.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

MeasuredProblem measure_labels(const RunDirectory& run, std::span<const LabelledFile> dev,
                               std::vector<nn::DataProfile>& profiles) {
  const auto [calibration, evaluations] = calibrate_thresholds(run.out(), dev);
  fmt::print(stderr, "thresholds of {}, fitted to {}\n", how_many(calibration.labels.size(), "label"),
             how_many(calibration.texts, "dev text"));
  const std::string warning = threshold_warning(calibration);
  if (!warning.empty()) fmt::print(stderr, "qing: warning: {}\n", warning);
  for (const auto& [name, evaluation] : evaluations) profiles.push_back(evaluation.profile);
  write_file_atomically(run.path("precision_recall.svg"), precision_recall_chart(evaluations));
  return {.scores = scores_markdown(evaluations), .thresholds = thresholds_markdown(calibration)};
}

MeasuredProblem measure_numbers(const RunDirectory& run, std::span<const LabelledFile> dev) {
  const auto model = nn::TextClassifier::load(run.out());
  std::vector<std::pair<std::string, NumberEvaluation>> evaluations;
  for (const LabelledFile& set : dev) evaluations.emplace_back(set.name, evaluate_numbers(*model, set.examples));
  return {.scores = scores_markdown(evaluations), .thresholds = {}};
}

}  // namespace

MeasuredProblem measure_problem(const RunDirectory& run, nn::Problem problem, std::span<const LabelledFile> dev,
                                std::vector<nn::DataProfile>& profiles) {
  if (dev.empty()) return {};
  return problem == nn::Problem::multi_label ? measure_labels(run, dev, profiles) : measure_numbers(run, dev);
}

}  // namespace qing::serve::cli
