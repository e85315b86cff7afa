// Softmax and its variants, on tensors of any strides; results have x's shape. A tensor without dimensions counts as
// one element. DTypeError unless f32 or f64, IndexError if `dim` is out of range.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

Tensor softmax(const Tensor& x, int64_t dim = -1);
Tensor log_softmax(const Tensor& x, int64_t dim = -1);  ///< log(softmax(x)), without overflow or cancellation
Tensor softmin(const Tensor& x, int64_t dim = -1);      ///< softmax(−x)

}  // namespace qing
