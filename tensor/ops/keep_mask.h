// Random masks for dropout.
#pragma once

#include <cstdint>

namespace qing {

/// keep[i] = 1 with probability 1−p, else 0. Uses element first+i of (seed, stream), 32 bits of Philox4x32-10 each.
/// `first` is a multiple of 4. Runs on the calling thread; the result for an element depends on its index alone.
void fill_keep_mask(uint64_t seed, uint64_t stream, int64_t first, int64_t n, double p, uint8_t* keep);

}  // namespace qing
