// Training a text classifier from labelled texts to a model directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/train_options.h>

namespace qing::optim {

struct Progress {
  int64_t step, steps;    ///< finished steps and all steps
  int64_t epoch, epochs;  ///< from 1
  int64_t texts;          ///< seen so far
  double loss;            ///< smoothed over the last steps
  double tokens_per_second;
  double seconds_left;
  double step_loss, grad_norm, lr;  ///< of this step only; the norm before clipping
};

/// The checkpoints and evaluations of a run. Of these options only `patience` affects the weights.
struct RunOptions {
  /// Folder of checkpoints; empty: none. Training resumes from its latest checkpoint and ends with the same weights.
  std::filesystem::path checkpoints = {};
  int64_t checkpoint_every = 0;  ///< steps; 0: after every epoch. One more is written at the end.
  /// Returns the score of the model in a folder. Greater is better. With it `out` gets the model with the best
  /// evaluation (the first of several equal ones), or the last model before the first evaluation. `last` gets every
  /// evaluated model and the final one.
  std::function<double(const std::filesystem::path& model, const Progress&)> evaluate = {};
  int64_t evaluate_every = 0;  ///< steps; 0: after every epoch. The model of the last step is evaluated in any case.
  int64_t patience = 0;        ///< training ends after this many evaluations without a better one; 0: never
  std::filesystem::path last = {};
};

struct TrainResult {
  double loss;               ///< mean over the last epoch's steps
  double tokens_per_second;  ///< tokens per second of the steps of this process, 0 without steps
  double seconds;            ///< duration of these steps
  int64_t steps;
  int64_t epochs;  ///< completed
  bool interrupted;
  bool early_stopped;    ///< patience ran out
  int64_t resumed_from;  ///< the step of the checkpoint, 0 without one
  int64_t total_steps;   ///< number of steps by the options
};

/// Trains a vocabulary and a BERT-architecture classifier on `examples`, or fine-tunes the one in `from`, with AdamW, a
/// linear warm-up and decay, and writes the model directory `out` after every epoch and at the end; on_epoch(epoch) is
/// called after each write. on_progress is called after every step; when it returns false the model is written and
/// training ends early. `run` adds checkpoints and evaluations. The same examples, options and kind of CPU give the
/// same weights to the bit, for any number of threads. ValueError without examples, for one whose label is no index
/// into the labels, on options out of range, or for a teacher with other labels; DataError for a model in `from` that
/// cannot be read; IoError when `out` cannot be written, which leaves what was there in place; DataError for a
/// checkpoint of another training or a teacher that cannot be read.
TrainResult train_classifier(std::span<const nn::Example> examples, const TrainOptions& options,
                             const std::filesystem::path& out,
                             const std::function<bool(const Progress&)>& on_progress = {},
                             const std::function<void(int64_t epoch)>& on_epoch = {}, const RunOptions& run = {});

}  // namespace qing::optim
