// The rows of an evaluation: what was predicted for each, and the worst errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/serve/runs/evaluation.h>

namespace qing::serve::cli {

struct RowResult {
  int32_t expected = 0, predicted = 0;
  std::vector<float> scores;  ///< by label
  bool correct() const { return expected == predicted; }
  float score() const { return scores[static_cast<size_t>(predicted)]; }
  double loss() const;  ///< -log of the expected label's score
};

/// One per example, in their order. The scores are those of the evaluation's temperature.
std::vector<RowResult> row_results(const Evaluation& evaluation);

/// The numbers of at most `most` misclassified rows, those with the highest score first.
std::vector<size_t> worst_errors(std::span<const RowResult> results, size_t most);

/// For people, a row each, and for programs [{"file", "line", "text", "expected", "predicted", "score"}]. `names` are
/// those of the files, which an example's group numbers.
std::string worst_text(const Evaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const RowResult> results, std::span<const size_t> worst,
                       std::span<const std::string> names);
std::string worst_json(const Evaluation& evaluation, std::span<const nn::Example> examples,
                       std::span<const RowResult> results, std::span<const size_t> worst,
                       std::span<const std::string> names);

/// Writes all rows as a table with a TableWriter. IoError, DataError.
void write_results(const std::filesystem::path& out, const Evaluation& evaluation,
                   std::span<const nn::Example> examples, std::span<const RowResult> results,
                   std::span<const std::string> names);

}  // namespace qing::serve::cli
