// Evaluation of a regression on texts with numbers.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/text_classifier.h>

namespace qing::serve::cli {

struct NumberEvaluation {
  std::vector<double> expected, predicted;  ///< one an example
  std::vector<std::string> sources;
};

/// ValueError unless the model is a regression; DataError for a text that it refuses.
NumberEvaluation evaluate_numbers(const nn::TextClassifier& model, std::span<const nn::Example> examples);

/// For people: the errors and correlations with their 95% bootstrap intervals, and those of each source.
std::string to_text(const NumberEvaluation& evaluation);
/// {"mse", "rmse", "mae", "pearson", "spearman", their "..._interval", "examples", "per_source"}, and "worst" if it is
/// given as JSON.
std::string to_json(const NumberEvaluation& evaluation, const std::string& worst = {});

/// The numbers of at most `most` examples, those with the greatest errors first.
std::vector<size_t> worst_examples(const NumberEvaluation& evaluation, size_t most);
/// For people, a row each, and for programs [{"file", "line", "text", "expected", "predicted"}]. `names` are those of
/// the files, which an example's group numbers.
std::string worst_text(const NumberEvaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const size_t> worst, std::span<const std::string> names);
std::string worst_json(const NumberEvaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const size_t> worst, std::span<const std::string> names);
/// Writes all rows as a table with a TableWriter. IoError, DataError.
void write_results(const std::filesystem::path& out, const NumberEvaluation& evaluation,
                   std::span<const nn::Example> examples, std::span<const std::string> names);

}  // namespace qing::serve::cli
