#include <qing/serve/runs/multi_label_evaluation.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include <qing/nn/models/classifier_config.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {

std::span<const float> MultiLabelEvaluation::row(size_t example) const {
  return std::span(scores).subspan(example * labels.size(), labels.size());
}

std::vector<nn::LabelSets> MultiLabelEvaluation::sets() const {
  std::vector<nn::LabelSets> sets;
  sets.reserve(expected.size());
  for (size_t i = 0; i < expected.size(); ++i) sets.push_back({expected[i], predicted[i]});
  return sets;
}

nn::MultiLabelCounts MultiLabelEvaluation::counts() const {
  nn::MultiLabelCounts counts(std::ssize(labels));
  for (const auto& [wanted, found] : sets()) counts.add(wanted, found);
  return counts;
}

std::map<std::string, nn::MultiLabelCounts> MultiLabelEvaluation::per_source() const {
  std::map<std::string, nn::MultiLabelCounts> all;
  for (size_t i = 0; i < expected.size(); ++i) {
    all.try_emplace(sources[i], std::ssize(labels)).first->second.add(expected[i], predicted[i]);
  }
  return all;
}

nn::ScoredLabel MultiLabelEvaluation::scored(size_t label) const {
  nn::ScoredLabel scored;
  for (size_t i = 0; i < expected.size(); ++i) {
    scored.scores.push_back(row(i)[label]);
    scored.expected.push_back(std::ranges::binary_search(expected[i], static_cast<int32_t>(label)));
  }
  return scored;
}

double MultiLabelEvaluation::log_loss() const {
  constexpr double kLeast = 1e-12;  // keeps the logarithm finite
  double sum = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    for (size_t label = 0; label < labels.size(); ++label) {
      const bool has = std::ranges::binary_search(expected[i], static_cast<int32_t>(label));
      const double score = row(i)[label];
      sum -= std::log(std::max(has ? score : 1 - score, kLeast));
    }
  }
  return expected.empty() ? 0 : sum / static_cast<double>(scores.size());
}

void MultiLabelEvaluation::decide(std::vector<double> new_thresholds) {
  thresholds = std::move(new_thresholds);
  for (size_t i = 0; i < expected.size(); ++i) {
    predicted[i].clear();
    for (size_t label = 0; label < labels.size(); ++label) {
      if (row(i)[label] >= thresholds[label]) predicted[i].push_back(static_cast<int32_t>(label));
    }
  }
}

MultiLabelEvaluation evaluate_multi_label(const nn::TextClassifier& model, std::span<const nn::Example> examples) {
  if (model.problem() != nn::Problem::multi_label) {
    throw ValueError(fmt::format("evaluate_multi_label: the model is a {} one", name_of(model.problem())));
  }
  MultiLabelEvaluation evaluation{.labels = model.labels(),
                                  .thresholds = {model.thresholds().begin(), model.thresholds().end()},
                                  .scores = {},
                                  .expected = {},
                                  .predicted = {},
                                  .sources = {},
                                  .profile = {.labels = std::vector<int64_t>(model.labels().size())}};
  std::vector<std::string> texts;
  texts.reserve(examples.size());
  for (const nn::Example& example : examples) texts.push_back(example.text);
  const auto where = [&](size_t i) { return fmt::format("{}, example {}", examples[i].source, i + 1); };
  const std::vector<nn::Prediction> predictions = predict_all(model, texts, where);
  evaluation.profile.add(predictions);
  for (size_t i = 0; i < examples.size(); ++i) {
    evaluation.scores.insert(evaluation.scores.end(), predictions[i].scores.begin(), predictions[i].scores.end());
    evaluation.expected.push_back(examples[i].labels);
    evaluation.predicted.push_back(predictions[i].labels);
    evaluation.sources.push_back(examples[i].source);
  }
  return evaluation;
}

std::vector<double> fit_thresholds(std::span<const MultiLabelEvaluation> evaluations) {
  std::vector<double> thresholds;
  for (size_t label = 0; !evaluations.empty() && label < evaluations.front().labels.size(); ++label) {
    nn::ScoredLabel all;
    for (const MultiLabelEvaluation& one : evaluations) {
      const nn::ScoredLabel scored = one.scored(label);
      all.scores.insert(all.scores.end(), scored.scores.begin(), scored.scores.end());
      all.expected.insert(all.expected.end(), scored.expected.begin(), scored.expected.end());
    }
    thresholds.push_back(nn::best_f1_threshold(all));
  }
  return thresholds;
}

std::string threshold_warning(const ThresholdCalibration& calibration) {
  constexpr int64_t kFewest = 10;
  std::vector<std::string> few;
  for (size_t i = 0; i < calibration.labels.size(); ++i) {
    const int64_t with = calibration.positives[i];
    if (std::min(with, calibration.texts - with) >= kFewest) continue;
    few.push_back(fmt::format("{} ({} of {})", calibration.labels[i], with, how_many(calibration.texts, "text")));
  }
  if (few.empty()) return {};
  return fmt::format(
      "the thresholds of these labels are uncertain, give dev sets with at least {} texts with and {} "
      "without each label: {}",
      kFewest, kFewest, fmt::join(few, ", "));
}

std::pair<ThresholdCalibration, std::vector<std::pair<std::string, MultiLabelEvaluation>>> calibrate_thresholds(
    const std::filesystem::path& folder, std::span<const LabelledFile> dev) {
  const auto model = nn::TextClassifier::load(folder);
  std::vector<MultiLabelEvaluation> evaluations;
  for (const LabelledFile& set : dev) evaluations.push_back(evaluate_multi_label(*model, set.examples));
  ThresholdCalibration calibration{.labels = model->labels(),
                                   .thresholds = fit_thresholds(evaluations),
                                   .positives = std::vector<int64_t>(model->labels().size())};
  nn::ClassifierConfig config = nn::ClassifierConfig::load(folder / "config.json");
  config.thresholds = calibration.thresholds;
  config.save(folder / "config.json");
  std::vector<std::pair<std::string, MultiLabelEvaluation>> named;
  for (size_t i = 0; i < dev.size(); ++i) {
    evaluations[i].decide(calibration.thresholds);
    calibration.texts += std::ssize(evaluations[i].expected);
    for (const auto& labels : evaluations[i].expected) {
      for (const int32_t label : labels) ++calibration.positives[static_cast<size_t>(label)];
    }
    named.emplace_back(dev[i].name, std::move(evaluations[i]));
  }
  return {std::move(calibration), std::move(named)};
}

std::vector<std::string> names_of_labels(const std::vector<std::string>& labels, std::span<const int32_t> chosen) {
  std::vector<std::string> names;
  for (const int32_t label : chosen) names.push_back(labels.at(static_cast<size_t>(label)));
  return names;
}

}  // namespace qing::serve::cli
