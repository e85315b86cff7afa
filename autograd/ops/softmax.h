// Softmax and its kin. f32 or f64, any strides; a tensor of no dimensions counts as one element.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

Tensor softmax(const Tensor& x, int64_t dim = -1);
Tensor log_softmax(const Tensor& x, int64_t dim = -1);  ///< log(softmax(x)), without overflow or loss
Tensor softmin(const Tensor& x, int64_t dim = -1);      ///< softmax(−x)

}  // namespace qing
