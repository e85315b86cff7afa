// Evaluation of a classifier on labelled texts.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/calibration.h>
#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/intervals.h>
#include <qing/nn/metrics.h>
#include <qing/nn/models/text_classifier.h>

namespace qing::serve::cli {

struct Evaluation {
  std::vector<std::string> labels;
  nn::ConfusionMatrix all;
  std::map<std::string, nn::ConfusionMatrix> per_source;
  std::vector<float> logits;  ///< one row per example
  std::vector<int32_t> expected;
  double temperature = 1;   ///< of the model
  nn::DataProfile profile;  ///< of the predictions
  /// Of ordered labels their places on the scale (nn::places_of), else empty, and the expected place of each example.
  std::vector<double> places = {}, values = {};
  nn::LabelledLogits labelled_logits() const { return {logits, expected, static_cast<int64_t>(labels.size())}; }
};

/// A name for each file: the path's last part, or the whole path if several paths of `among` end alike. `among` holds
/// the files.
std::vector<std::string> names_of(std::span<const std::filesystem::path> files,
                                  std::span<const std::filesystem::path> among);

/// Gives examples without a source this one.
void name_sources(std::vector<nn::Example>& examples, const std::string& name);

/// UsageError when two paths name the same file.
void check_distinct(std::span<const std::filesystem::path> files);

/// All files, one after the other; an example without a source has its file's name as names_of() gives it, and its
/// group is the number of its file. IoError, DataError; UsageError when a file appears twice.
std::vector<nn::Example> read_examples(std::span<const std::filesystem::path> files,
                                       const nn::DatasetOptions& options = {});

/// Returns the predictions in order, computed in batches. The DataError for a refused text names it by `where(index)`.
std::vector<nn::Prediction> predict_all(const nn::TextClassifier& model, std::span<const std::string> texts,
                                        const std::function<std::string(size_t)>& where);

/// Of a classifier of single or ordered labels. ValueError for another one; DataError for a text that it refuses.
Evaluation evaluate(const nn::TextClassifier& model, std::span<const nn::Example> examples);

/// Writes the profile of the predictions into the model's configuration, as the reference for drift in serving.
/// IoError.
void keep_reference(const std::filesystem::path& model, const nn::DataProfile& profile);

/// 95% intervals: Wilson's for accuracy and recall, and bootstrap intervals for means over labels.
nn::Interval accuracy_interval(const nn::ConfusionMatrix& matrix);
nn::Interval recall_interval(const nn::ConfusionMatrix& matrix, int64_t label);
nn::Interval macro_recall_interval(const nn::ConfusionMatrix& matrix);
nn::Interval macro_f1_interval(const nn::ConfusionMatrix& matrix);
nn::Interval kappa_interval(const nn::ConfusionMatrix& matrix);
nn::Interval mae_interval(const nn::ConfusionMatrix& matrix, std::span<const double> places);
/// Of ordered labels: the mean absolute error of the expected places.
double value_error(const Evaluation& evaluation);
nn::Interval value_error_interval(const Evaluation& evaluation);

/// Tables for people: accuracy and means with their intervals, one row per label, the confusion matrix, and one row per
/// source.
std::string to_text(const Evaluation& evaluation);
/// {"accuracy", "macro_recall", "macro_f1", "examples", their "..._interval", "log_loss", "calibration_error",
/// "temperature", "per_label", "confusion", "per_source"}, of ordered labels "mae", "quadratic_weighted_kappa",
/// "mae_of_expected_value" and their intervals too, and "worst" if it is given as JSON.
std::string to_json(const Evaluation& evaluation, const std::string& worst = {});

}  // namespace qing::serve::cli
