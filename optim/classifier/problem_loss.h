// Targets and losses of classifiers of several labels, of ordered labels and of numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/tensor/tensor.h>

namespace qing::optim {

/// ValueError naming the first option that the kind of problem does not have, and for more than one kind.
void check_problem(const TrainOptions& options);
/// ValueError for an example whose labels do not fit the kind of problem.
void check_problem_examples(const TrainOptions& options, std::span<const nn::Example> examples);

/// The weights of a label's texts, f32 [labels]: (texts without it / texts with it) to the power positive_weight. 1 for
/// a label that no text has. Undefined if positive_weight is 0. Texts of groups without labels do not count.
Tensor positive_weights(std::span<const nn::Example> examples, const TrainOptions& options);

/// The mean over texts and labels of the binary cross-entropy of sigmoid(logits), where each positive part has its
/// label's weight, if there are weights. logits and targets [texts, labels].
Tensor multi_label_loss(const Tensor& logits, const Tensor& targets, const Tensor& weights);

/// The mean over the texts of the squared earth mover's distance between softmax(logits) and the targets (Hou, Yu &
/// Samaras 2016), which is the ranked probability score (Epstein 1969) and proper: Σ over the labels but the last of
/// (P(label at most k) − target's)². logits and targets [texts, labels]; the rows of the targets sum to 1.
Tensor ordinal_loss(const Tensor& logits, const Tensor& targets);

/// The mean and the standard deviation of the numbers of the examples, which a regression learns in these units. The
/// deviation is 1 where all numbers are equal.
struct TargetUnits {
  double mean = 0, deviation = 1;
};
TargetUnits units_of(std::span<const nn::Example> examples);

}  // namespace qing::optim
