// Dropout, and helpers of operations that contain dropout.
#pragma once

#include <cstdint>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Zeroes each element with probability p and scales the others by 1/(1−p) (Srivastava et al. 2014). ValueError unless
/// 0 ≤ p ≤ 1. Takes one stream of `rng`.
Tensor dropout(const Tensor& x, double p, Generator& rng);

/// ValueError naming `op` unless 0 ≤ p < 1.
void check_dropout(double p, const char* op);
/// A u8 tensor [n]: 1 where an element is kept. Takes one stream of rng.
Tensor keep_mask(int64_t n, double p, Generator& rng);

}  // namespace qing
