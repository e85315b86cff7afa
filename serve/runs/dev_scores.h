// The scores of a classifier on dev sets, and the measures by which one evaluation is better than another.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/problem.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/set_scores.h>

namespace qing::serve::cli {

/// The scores of one dev set in one evaluation.
struct DevScore {
  std::string name;
  double accuracy = 0, macro_recall = 0, macro_f1 = 0;
  double loss = 0;  ///< log loss of the scores before calibration
};

/// What --best may name.
struct Measure {
  std::string_view name;    ///< "macro_recall"
  std::string_view noun;    ///< "macro-recall"
  double DevScore::*value;  ///< null for a measure that single labels do not have
  bool greater_is_better;

  /// The mean over the sets, of which the greater one is better: a loss gets a minus.
  double score(std::span<const DevScore> sets) const;
  double score(std::span<const SetScores> sets) const;
  /// The mean itself.
  double value_of(double score) const { return greater_is_better ? score : -score; }
};

/// Those of single labels; the first is the default.
std::span<const Measure> measures();
/// Those of a kind of problem; the first is the default.
std::vector<Measure> measures_of(nn::Problem problem);
/// Of any kind of problem. ValueError for a name that no measure has.
const Measure& measure_of(std::string_view name);
/// The names of all measures of all kinds, each once.
std::vector<std::string> measure_names();

/// Evaluates the model in a folder on each set. IoError, DataError.
std::vector<DevScore> score_dev(const std::filesystem::path& model, std::span<const LabelledFile> dev);

/// Evaluates a model of several labels, of ordered labels or of a number. Several labels are decided by the thresholds
/// that fit the sets best, as calibrate_thresholds() finds them at the end. SetScores::score is that of the measure.
/// IoError, DataError.
std::vector<SetScores> score_sets(const std::filesystem::path& model, std::span<const LabelledFile> dev,
                                  const Measure& measure);

}  // namespace qing::serve::cli
