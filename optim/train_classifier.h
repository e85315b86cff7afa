// Training a text classifier from labelled texts to a model directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/text/dataset.h>

namespace qing::optim {

struct TrainOptions {
  int64_t layers = 2;
  int64_t width = 128;
  int64_t heads = 0;  ///< 0: width / 32
  int64_t batch = 64;  ///< texts a step
  int64_t vocab = 16000;  ///< most entries of the vocabulary
  int64_t epochs = 1;
  int64_t max_length = 128;  ///< tokens of a text
  int64_t max_steps = 0;     ///< 0: no limit
  double lr = 5e-4;          ///< peak
  double dropout = 0.1;
  double warmup = 0.1;  ///< share of the steps
  double weight_decay = 0.01;  ///< of matrices; biases and norms have none
  double clip = 1.0;           ///< largest norm of the gradient
  uint64_t seed = 42;
  std::vector<std::string> labels = {"negative", "neutral", "positive"};  ///< what the examples' labels count in
};

struct Progress {
  int64_t step, steps;    ///< done, of all
  int64_t epoch, epochs;  ///< from 1
  int64_t texts;          ///< seen so far
  double loss;            ///< smoothed over the last steps
  double tokens_per_second;
  double seconds_left;
};

struct TrainResult {
  double loss;               ///< mean over the last epoch's steps
  double tokens_per_second;  ///< real tokens over the time of the steps
  double seconds;            ///< of the steps
  int64_t steps;
  int64_t epochs;  ///< completed
  bool interrupted;
};

/// Trains a vocabulary and a BERT-architecture classifier on `examples` with AdamW, a linear warm-up and decay, and
/// writes the model directory `out` after every epoch and at the end; on_epoch(epoch) is called after each write.
/// on_progress is called after every step; when it returns false the model is written and training ends early.
/// The same examples, options and kind of CPU give the same weights to the bit, for any number of threads.
/// ValueError without examples, for one whose label is no index into the labels, or on options out of range; IoError
/// when `out` cannot be written, which leaves what was there in place.
TrainResult train_classifier(std::span<const nn::Example> examples, const TrainOptions& options,
                             const std::filesystem::path& out,
                             const std::function<bool(const Progress&)>& on_progress = {},
                             const std::function<void(int64_t epoch)>& on_epoch = {});

}  // namespace qing::optim
