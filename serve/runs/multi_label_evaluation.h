// Evaluation of a multi-label classifier on labelled texts, and the thresholds of its labels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/multi_label_metrics.h>
#include <qing/serve/runs/data_files.h>

namespace qing::serve::cli {

struct MultiLabelEvaluation {
  std::vector<std::string> labels;
  std::vector<double> thresholds;                         ///< one a label
  std::vector<float> scores;                              ///< one row per example, one column per label
  std::vector<std::vector<int32_t>> expected, predicted;  ///< labels of each example, ascending
  std::vector<std::string> sources;                       ///< of each example
  nn::DataProfile profile;                                ///< of the predictions

  std::span<const float> row(size_t example) const;
  /// The examples as the metrics take them. The spans live as long as this object.
  std::vector<nn::LabelSets> sets() const;
  nn::MultiLabelCounts counts() const;
  std::map<std::string, nn::MultiLabelCounts> per_source() const;
  nn::ScoredLabel scored(size_t label) const;
  /// The mean over examples and labels of the binary cross-entropy of the scores.
  double log_loss() const;
  /// Predicts the labels whose scores reach these thresholds instead.
  void decide(std::vector<double> thresholds);
};

/// ValueError unless the model is a multi-label classifier; DataError for a text that it refuses.
MultiLabelEvaluation evaluate_multi_label(const nn::TextClassifier& model, std::span<const nn::Example> examples);

/// For each label the threshold with the greatest F1 on all the evaluations together (nn::best_f1_threshold).
std::vector<double> fit_thresholds(std::span<const MultiLabelEvaluation> evaluations);

struct ThresholdCalibration {
  std::vector<std::string> labels;
  std::vector<double> thresholds;
  std::vector<int64_t> positives;  ///< texts of each label that its threshold was fitted to
  int64_t texts = 0;
};

/// Names the labels whose thresholds are uncertain, because fewer than 10 texts have them or fewer than 10 lack them.
/// Empty for certain thresholds.
std::string threshold_warning(const ThresholdCalibration& calibration);

/// Evaluates the model in the folder on each dev set, fits the thresholds to all of them together and writes them to
/// config.json. The returned evaluations have the new thresholds. IoError, DataError.
std::pair<ThresholdCalibration, std::vector<std::pair<std::string, MultiLabelEvaluation>>> calibrate_thresholds(
    const std::filesystem::path& folder, std::span<const LabelledFile> dev);

/// For people: a table of the measures with their intervals, one row per label and one per source.
std::string to_text(const MultiLabelEvaluation& evaluation);
/// {"micro_f1", "macro_f1", "subset_accuracy", ..., "per_label", "per_source"}, and "worst" if it is given as JSON.
std::string to_json(const MultiLabelEvaluation& evaluation, const std::string& worst = {});

/// How wrong an example is: the greatest distance of a wrong label's score from the right decision, 0 if all are right.
double wrongness(const MultiLabelEvaluation& evaluation, size_t example);
/// The numbers of at most `most` examples with wrong labels, the most wrong ones first.
std::vector<size_t> worst_examples(const MultiLabelEvaluation& evaluation, size_t most);
/// For people, a row each, and for programs [{"file", "line", "text", "expected", "predicted", "wrongness"}]. `names`
/// are those of the files, which an example's group numbers.
std::string worst_text(const MultiLabelEvaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const size_t> worst, std::span<const std::string> names);
std::string worst_json(const MultiLabelEvaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const size_t> worst, std::span<const std::string> names);
/// Writes all rows as a table with a TableWriter; several labels are joined by '|'. IoError, DataError.
void write_results(const std::filesystem::path& out, const MultiLabelEvaluation& evaluation,
                   std::span<const nn::Example> examples, std::span<const std::string> names);

/// The names of some labels, in their order.
std::vector<std::string> names_of_labels(const std::vector<std::string>& labels, std::span<const int32_t> chosen);

}  // namespace qing::serve::cli
