// The options of train_classifier() and the values it accepts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/tensor/dtype.h>

namespace qing::optim {

struct TrainOptions {
  int64_t layers = 2;
  int64_t width = 128;
  int64_t heads = 0;      ///< 0: width / 32
  int64_t batch = 64;     ///< batch size in texts
  int64_t vocab = 16000;  ///< maximum vocabulary size
  int64_t epochs = 1;
  int64_t max_length = 128;  ///< maximum tokens of a text
  int64_t max_steps = 0;     ///< 0: no limit
  double lr = 5e-4;          ///< learning rate at the peak of the schedule
  double dropout = 0.1;
  double warmup = 0.1;         ///< fraction of the steps in which the learning rate rises
  double weight_decay = 0.01;  ///< of matrices; biases and norms have none
  double clip = 1.0;           ///< maximum gradient norm
  /// Share of a text's tokens that training replaces by [MASK] (word dropout, Iyyer et al. 2015).
  double word_dropout = 0;
  /// τ of logit adjustment (Menon et al. 2021): in training τ·log(share of the label in the example's group) is added
  /// to the logits. At 1 the model learns as if all labels were equally frequent in each group. At 0 it learns their
  /// shares.
  double balance = 0;
  /// ε: a target becomes (1−ε)·target + ε spread evenly over the labels that compete (Szegedy et al. 2016).
  double label_smoothing = 0;
  /// α of R-Drop (Wu et al. 2021) with a halved loss: each batch is computed twice with different dropout. The loss is
  /// the mean of both losses plus α/4 of the two KL divergences between the predictions. 0: computed once.
  double consistency = 0;
  /// Model directories of teachers with the same labels. A target is `teacher_share` of the mean of their predictions
  /// plus the rest of the label (distillation, Hinton et al. 2015, at temperature 1).
  std::vector<std::filesystem::path> teachers = {};
  double teacher_share = 0.5;
  /// Decay of the moving average of the weights (EMA), which is evaluated and saved instead of the weights; 0: none.
  double ema = 0;
  /// Minimum number of texts of an n-gram. N-grams that reach it get a linear model that is added to the logits
  /// (nn/models/ngram_head.h); 0: none.
  int64_t ngram_min_texts = 0;
  /// Auxiliary groups of examples. Each epoch takes another part of their texts, the fraction `extra_share`. Labels
  /// that a group lacks do not compete for its texts.
  std::vector<int32_t> extra_groups = {};
  double extra_share = 0.3;
  double ngram_dropout = 0.1;  ///< share of a text's n-grams dropped in training
  double ngram_lr = 0.01;      ///< peak learning rate; only the rows of a step's n-grams change (AdamOptions::lazy)
  double ngram_weight_decay = 0.07;  ///< weight decay of these rows
  /// bf16: matrix products in bf16 with sums in f32 (see AutocastGuard), everything else in f32.
  DType precision = DType::f32;
  uint64_t seed = 42;
  std::vector<std::string> labels = {"negative", "neutral",
                                     "positive"};  ///< label names, in the order of their indices
};

/// The checks of train_classifier() that read no files. ValueError.
void check_train_options(const TrainOptions& options, std::span<const nn::Example> examples);

/// Number of steps of an epoch with this number of examples, at least one.
int64_t batches_of_epoch(const TrainOptions& options, size_t examples);

}  // namespace qing::optim
