// Training a text classifier from labelled texts to a model directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/text/dataset.h>
#include <qing/tensor/dtype.h>

namespace qing::optim {

struct TrainOptions {
  int64_t layers = 2;
  int64_t width = 128;
  int64_t heads = 0;      ///< 0: width / 32
  int64_t batch = 64;     ///< texts a step
  int64_t vocab = 16000;  ///< most entries of the vocabulary
  int64_t epochs = 1;
  int64_t max_length = 128;  ///< tokens of a text
  int64_t max_steps = 0;     ///< 0: no limit
  double lr = 5e-4;          ///< peak
  double dropout = 0.1;
  double warmup = 0.1;         ///< share of the steps
  double weight_decay = 0.01;  ///< of matrices; biases and norms have none
  double clip = 1.0;           ///< largest norm of the gradient
  /// Share of a text's tokens that training replaces by [MASK] (word dropout, Iyyer et al. 2015).
  double word_dropout = 0;
  /// τ of the logits' adjustment by τ·log(share of the label among the example's group) in training (Menon et al.
  /// 2021): at 1 the model learns to tell labels as if each group had equally many of all; at 0 it learns their shares.
  double balance = 0;
  /// ε: a target becomes (1−ε)·target + ε spread evenly over the labels that compete (Szegedy et al. 2016).
  double label_smoothing = 0;
  /// α of R-Drop (Wu et al. 2021), whose loss is halved: each batch is computed twice under different dropout, the
  /// loss is the mean of both plus α/4 of the two KL divergences between what they say. 0: computed once.
  double consistency = 0;
  /// Model directories with the same labels. A target is then `teacher_share` of the mean of what they say, the rest
  /// of it the label (distillation, Hinton et al. 2015, at temperature 1).
  std::vector<std::filesystem::path> teachers = {};
  double teacher_share = 0.5;
  /// Decay of an average of the weights (EMA) that is evaluated and saved in their place; 0: none.
  double ema = 0;
  /// Adds a linear model of n-grams to the logits (nn/models/ngram_head.h), of those found in so many texts; 0: none.
  int64_t ngram_min_texts = 0;
  /// Groups of examples that help but are not the task itself: an epoch takes `extra_share` of their texts, other ones
  /// each time, and labels that a group has none of do not compete for its texts.
  std::vector<int32_t> extra_groups = {};
  double extra_share = 0.3;
  double ngram_dropout = 0.1;        ///< share of a text's n-grams left out in training
  double ngram_lr = 0.01;            ///< peak; only the rows of a step's n-grams move (AdamOptions::lazy)
  double ngram_weight_decay = 0.07;  ///< of these rows
  /// bf16: products of matrices in bf16 with sums in f32 (see AutocastGuard), all else f32.
  DType precision = DType::f32;
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
  double step_loss, grad_norm, lr;  ///< of this step alone; the norm before clipping
};

/// What a run keeps on disk, and when. The weights depend on `patience` only, to the bit.
struct RunOptions {
  /// Folder of checkpoints; empty: none. Training goes on where the latest one in it stands, to the same weights.
  std::filesystem::path checkpoints = {};
  int64_t checkpoint_every = 0;  ///< steps; 0: after every epoch. One more is written at the end.
  /// The score of the model in a folder, the greater the better. With it the model that is written to `out` is the best
  /// of the evaluations (the first of equals), until there is one the last; `last` gets every model that is evaluated
  /// and the one training ends with.
  std::function<double(const std::filesystem::path& model, const Progress&)> evaluate = {};
  int64_t evaluate_every = 0;  ///< steps; 0: after every epoch. The model of the last step is evaluated in any case.
  int64_t patience = 0;        ///< evaluations without a better one after which training ends; 0: never
  std::filesystem::path last = {};
};

struct TrainResult {
  double loss;               ///< mean over the last epoch's steps
  double tokens_per_second;  ///< real tokens over the time of the steps of this process, 0 without any
  double seconds;            ///< of these steps
  int64_t steps;
  int64_t epochs;  ///< completed
  bool interrupted;
  bool early_stopped;    ///< patience ran out
  int64_t resumed_from;  ///< the step of the checkpoint, 0 without one
  int64_t total_steps;   ///< what the options ask for
};

/// Trains a vocabulary and a BERT-architecture classifier on `examples` with AdamW, a linear warm-up and decay, and
/// writes the model directory `out` after every epoch and at the end; on_epoch(epoch) is called after each write.
/// on_progress is called after every step; when it returns false the model is written and training ends early. `run`
/// adds checkpoints and evaluations.
/// The same examples, options and kind of CPU give the same weights to the bit, for any number of threads.
/// ValueError without examples, for one whose label is no index into the labels, on options out of range, or for a
/// teacher with other labels; IoError when `out` cannot be written, which leaves what was there in place; DataError for
/// a checkpoint of another training or a teacher that cannot be read.
TrainResult train_classifier(std::span<const nn::Example> examples, const TrainOptions& options,
                             const std::filesystem::path& out,
                             const std::function<bool(const Progress&)>& on_progress = {},
                             const std::function<void(int64_t epoch)>& on_epoch = {}, const RunOptions& run = {});

}  // namespace qing::optim
