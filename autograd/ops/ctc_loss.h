// Connectionist temporal classification (Graves et al. 2006).
#pragma once

#include <cstdint>
#include <vector>

#include <qing/autograd/ops/losses.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct CtcLossOptions {
  int64_t blank = 0;
  Reduction reduction = Reduction::mean;  ///< mean: of the losses divided by max(1, target length)
  bool zero_infinity = false;             ///< a target that its input is too short for has loss 0 instead of infinity
};
/// −log of the probability of each target, summed over all alignments with the input. log_probs [time, batch, classes]
/// are log_softmax() of a network's outputs; targets (i32 or i64) are [batch, longest] or one after another [sum of
/// lengths]. Sums are taken in double. The gradient is that of the loss by log_probs, minus the posterior of each
/// class. ShapeError, DTypeError; ValueError for lengths out of range and for batchmean; IndexError for a target that
/// is no class or the blank. Differentiable once.
Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const std::vector<int64_t>& input_lengths,
                const std::vector<int64_t>& target_lengths, const CtcLossOptions& options = {});

}  // namespace qing
