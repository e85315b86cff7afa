// What the operations with dropout inside share.
#pragma once

#include <cstdint>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// ValueError naming `op` unless 0 ≤ p < 1.
void check_dropout(double p, const char* op);
/// A u8 tensor [n]: 1 where an element is kept. Takes one stream of rng.
Tensor keep_mask(int64_t n, double p, Generator& rng);

}  // namespace qing
