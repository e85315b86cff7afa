// Height and width.
#pragma once

#include <cstdint>

namespace qing {

/// A number stands for both: `Size2d stride = 2`.
struct Size2d {
  int64_t h, w;

  constexpr Size2d(int64_t both) : h(both), w(both) {}  // NOLINT(google-explicit-constructor): stride = 2
  constexpr Size2d(int64_t height, int64_t width) : h(height), w(width) {}
};

}  // namespace qing
