// The model card of an encoder that `qing pretrain` trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include <qing/optim/training/training_run.h>
#include <qing/serve/runs/run_record.h>
#include <qing/serve/runs/set_scores.h>

namespace qing::serve::cli {

/// The facts of a pretraining for its card.
struct PretrainingFacts {
  RunRecord record;
  optim::TrainResult result;
  int64_t best_step = 0;       ///< the step of the model; 0: the last step
  std::vector<SetScores> dev;  ///< loss, perplexity and accuracy of that step; empty without dev sets
};

/// Writes the card as README.md, or as MODEL_CARD.md if there is a README.md that qing did not write. IoError,
/// DataError.
void write_pretraining_card(const std::filesystem::path& model, const PretrainingFacts& facts);

}  // namespace qing::serve::cli
