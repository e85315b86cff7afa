// The model card: the README.md beside a model. It states the training data, the scores and the command to train it
// again.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <qing/optim/classifier/train_classifier.h>
#include <qing/serve/runs/calibrate.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/run_record.h>

namespace qing::serve::cli {

/// What the card says of a model whose predictions are no single labels. Text is Markdown.
struct MeasuredProblem {
  std::string scores;      ///< empty: not measured
  std::string thresholds;  ///< empty: there are none
};

/// The facts of a training for its card. Without dev sets there are no scores.
struct CardFacts {
  RunRecord record;
  optim::TrainResult result;
  int64_t best_step = 0;                                ///< the step of the model; 0: the last step
  std::string search = {};                              ///< what a search for options says; empty without one
  std::vector<std::pair<std::string, Evaluation>> dev;  ///< with the model's temperature
  Calibration calibration;                              ///< fitted to the dev sets
  /// Of several labels and of numbers, instead of the two above.
  std::optional<MeasuredProblem> measured = {};
};

/// Returns the text (Markdown) of the card for the model in the folder. IoError, DataError.
std::string model_card(const std::filesystem::path& model, const CardFacts& facts);

/// Writes the card as README.md, or as MODEL_CARD.md if there is a README.md that qing did not write. IoError.
void write_model_card(const std::filesystem::path& model, const CardFacts& facts);

}  // namespace qing::serve::cli
