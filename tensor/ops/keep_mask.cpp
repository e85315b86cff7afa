#include <qing/tensor/ops/keep_mask.h>

#include <algorithm>
#include <cmath>

#include <qing/tensor/kernels/kernels.h>

namespace qing {

void fill_keep_mask(uint64_t seed, uint64_t stream, int64_t first, int64_t n, double p, uint8_t* keep) {
  // An element is dropped if its 32 bits, as a fraction of 2^32, are below p.
  const auto threshold = static_cast<uint32_t>(std::min(std::ldexp(p, 32), 4294967295.0));
  kernels::kernels<float>().keep_mask(seed, stream, static_cast<uint64_t>(first), n, threshold, keep);
}

}  // namespace qing
