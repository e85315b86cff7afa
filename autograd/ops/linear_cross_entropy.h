// The loss of a layer over a large vocabulary.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/losses.h>
#include <qing/tensor/tensor.h>

namespace qing {

struct LinearCrossEntropyOptions {
  double label_smoothing = 0;             ///< as CrossEntropyOptions'
  Reduction reduction = Reduction::mean;  ///< or sum
};
/// cross_entropy(linear(x, weight, bias), targets) for x [rows, width], weight [classes, width], bias [classes] or
/// undefined, and targets [rows] (i32 or i64), without the matrix of logits: rows are computed in chunks of 32 MB of
/// logits. When a graph is recorded, forward also computes the gradients, of the size of x and of the weight, so that
/// no logits are kept or computed twice (Hsu et al., "Liger Kernel", 2024). Under an AutocastGuard products are those
/// of linear(). Errors as of linear() and cross_entropy(); ValueError for another reduction. Differentiable once.
Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                            const LinearCrossEntropyOptions& options = {});

}  // namespace qing
