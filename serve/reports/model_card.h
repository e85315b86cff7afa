// The model card: README.md beside a model, which says what it was trained on, how well it does and how to make it
// again.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <qing/optim/classifier/train_classifier.h>
#include <qing/serve/runs/calibrate.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/run_record.h>

namespace qing::serve::cli {

/// What the card says of a training; without dev sets it has no scores.
struct CardFacts {
  RunRecord record;
  optim::TrainResult result;
  int64_t best_step = 0;                                ///< whose model it is; 0: the last
  std::vector<std::pair<std::string, Evaluation>> dev;  ///< with the model's temperature
  Calibration calibration;                              ///< of the model by the dev sets
};

/// The card's text (Markdown) for the model in the folder. IoError, DataError.
std::string model_card(const std::filesystem::path& model, const CardFacts& facts);

/// Writes it as README.md, or as MODEL_CARD.md where somebody else's README.md stands. IoError.
void write_model_card(const std::filesystem::path& model, const CardFacts& facts);

}  // namespace qing::serve::cli
