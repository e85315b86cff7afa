// The memory that attention's kernels work in.
#pragma once

#include <algorithm>
#include <cstdint>

#include <qing/tensor/kernels/attention_tiles.h>

namespace qing {

/// Elements of scratch memory of one thread for kernels on heads of these depths.
inline int64_t attention_scratch_elements(int64_t depth, int64_t value_depth) {
  const int64_t sum = depth + value_depth, larger = std::max(depth, value_depth);
  return kernels::kKeyTile * (sum + larger) + kernels::kQueryTile * sum + 3 * kernels::kKeyTile * kernels::kQueryTile;
}

}  // namespace qing
