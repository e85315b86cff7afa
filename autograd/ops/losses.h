// Losses.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// Mean of −log softmax(logits)[i, targets[i]] over the rows whose target is not `ignore_index`; logits [rows, classes],
/// targets [rows]. IndexError names a target out of range; ValueError if no row counts.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, int64_t ignore_index = -100);

}  // namespace qing
