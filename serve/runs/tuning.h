// The settings that a search for the options of a training tries, and what each trial has shown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/optim/classifier/train_options.h>
#include <qing/serve/runs/settings.h>

namespace qing::serve::cli {

enum class TrialEnd : uint8_t {
  finished,  ///< trained as long as its options say
  hopeless,  ///< stopped, because half of the earlier trials were better at its step
  cut        ///< stopped by the time limit or by Ctrl-C
};

/// One trial: a training with its own options.
struct Trial {
  int64_t number = 0;  ///< from 1
  double lr = 0, dropout = 0, weight_decay = 0;
  int64_t epochs = 0, batch = 0;
  TrialEnd end = TrialEnd::cut;
  double score = 0;                 ///< the best evaluation; greater is better
  int64_t step = 0;                 ///< of that evaluation, 0 without one
  double seconds = 0;               ///< how long the trial took
  std::vector<double> scores = {};  ///< of each evaluation, in their order
};

/// The trial of this number. The first has the options themselves. Each other one draws from generators of (seed,
/// number) alone: the rate within a factor of 5 of the options' and the weight decay within a factor of 10 (from 0.01
/// if it is 0), both log-uniformly, the dropout in [0, 0.4), half, as many or twice the epochs, and half, the same or
/// twice the batch. Numbers are rounded to 3 digits, so that their texts mean the same values.
Trial draw_trial(const optim::TrainOptions& options, uint64_t seed, int64_t number);

/// The options with those of the trial.
optim::TrainOptions with_trial(optim::TrainOptions options, const Trial& trial);
void set_trial(Settings& settings, const Trial& trial);
/// "--lr 0.001 --epochs 4 --batch 64 --dropout 0.1 --weight-decay 0.01"
std::string options_text(const Trial& trial);

/// Whether a trial with these scores should stop (the median rule of Golovin et al. 2017): at least 3 other trials have
/// as many evaluations, and its best score is below the median of what was their best by then.
bool is_hopeless(const std::vector<double>& scores, std::span<const Trial> others);

/// The trial with the greatest score of those that finished; without any, of those that were cut and evaluated. Null
/// without an evaluation.
const Trial* best_trial(std::span<const Trial> trials);

/// Appends the trial as one line of JSON. `value` is its score as the measure of this name states it. IoError.
void append_trial(const std::filesystem::path& file, const Trial& trial, const std::string& measure, double value);
const char* name_of(TrialEnd end);  ///< "finished", "stopped early", "cut"

}  // namespace qing::serve::cli
