// Tensors of 0, 1 and −1 that multiply gradients; constants of the graph. Private to this folder.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// 1 where a and b, which broadcast, are equal, else 0. f32 or f64.
Tensor equal_mask(const Tensor& a, const Tensor& b);
/// 1, 0 or −1 where x is above, at or below 0. f32 or f64.
Tensor sign_mask(const Tensor& x);
/// 1 where x is 0, else 0. x plus this is a divisor that is never 0. f32 or f64.
Tensor zero_mask(const Tensor& x);

}  // namespace qing
