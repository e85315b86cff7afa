// Two versions of a model on the same labelled texts, and the rule by which the newer may replace the older.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/intervals.h>
#include <qing/nn/models/prediction.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/paired_comparison.h>
#include <qing/nn/problem.h>
#include <qing/serve/reports/number_comparison.h>

namespace qing::serve {

/// A labelled text and what both versions say about it; without the text.
struct JudgedText {
  std::int32_t expected = 0, before = 0, after = 0;  ///< labels
  float score = 0;                                   ///< that the newer version gives to its label
  std::int64_t row = 0;                              ///< of the evaluation set, from 1
  std::string source = {}, language = {};            ///< language_by_script()
  double before_value = 0, after_value = 0;          ///< expected places, of ordered labels
};

/// A metric of both versions. The interval holds 95% of its bootstrap differences, newer minus older.
struct ComparedMetric {
  double before = 0, after = 0;
  nn::Interval difference = {};
};

/// Some of the texts. `p_value` is that of McNemar's exact test.
struct ComparedTexts {
  std::string name = {};
  std::int64_t texts = 0;
  ComparedMetric accuracy = {};
  nn::Discordant discordant = {};
  double p_value = 1;
  /// Whether the newer version is worse at the level of 5%.
  bool worse() const { return p_value < 0.05 && discordant.only_first > discordant.only_second; }
};

struct VersionComparison {
  ComparedTexts all = {};
  ComparedMetric macro_recall = {}, macro_f1 = {};
  std::vector<ComparedTexts> per_label = {}, per_source = {},
                             per_language = {};  ///< the accuracy of a label's texts is its recall
  std::vector<JudgedText> worst = {};            ///< texts on which the newer version is wrong with the highest scores
  std::optional<cli::OrdinalComparison> ordinal = {};  ///< of ordered labels
};

/// Predicts all texts with both classifiers, which have the same labels. DataError for a text that one refuses.
std::vector<JudgedText> judge_texts(std::span<const nn::Example> examples, const nn::TextClassifier& before,
                                    const nn::TextClassifier& after);
/// `problem` is that of both versions: single_label or ordinal. ValueError without texts.
VersionComparison compare_versions(std::span<const JudgedText> texts, const std::vector<std::string>& labels,
                                   nn::Problem problem = nn::Problem::single_label);
/// Why the newer version must not replace the older one: it is worse beyond chance over all texts, in macro-recall, or
/// on the texts of a source or of a language; of ordered labels also in quadratic weighted kappa or in the mean
/// absolute error of the expected places. Empty: it may.
std::vector<std::string> reasons_against(const VersionComparison& comparison);
/// One JSON object with the members of the comparison.
std::string to_json(const VersionComparison& comparison, const std::vector<std::string>& labels);

}  // namespace qing::serve
