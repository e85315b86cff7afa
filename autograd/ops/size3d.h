// Depth, height and width.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/size2d.h>

namespace qing {

/// A number stands for all three: `Size3d stride = 2`.
struct Size3d {
  int64_t d, h, w;

  constexpr Size3d(int64_t all) : d(all), h(all), w(all) {}  // NOLINT(google-explicit-constructor): stride = 2
  constexpr Size3d(int64_t depth, int64_t height, int64_t width) : d(depth), h(height), w(width) {}
  constexpr Size2d plane() const { return {h, w}; }
};

}  // namespace qing
