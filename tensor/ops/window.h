// A window that slides along one dimension, for convolution and pooling.
#pragma once

#include <algorithm>
#include <cstdint>

namespace qing {

/// The window at position o sees elements o·stride − padding + k·dilation of 0..in, for k in 0..kernel; those outside
/// are padding. The padding behind the last element follows from `out`.
struct Window {
  int64_t in, out, kernel, stride = 1, padding = 0, dilation = 1;

  int64_t at(int64_t o, int64_t k) const { return o * stride - padding + k * dilation; }
  /// The positions whose element k is not padding: first..last.
  struct Range {
    int64_t first, last;
  };
  Range inside(int64_t k) const {
    const int64_t shift = k * dilation - padding;
    const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    const int64_t last = shift >= in ? 0 : (in - 1 - shift) / stride + 1;
    return {std::min(first, out), std::clamp(last, std::min(first, out), out)};
  }
};

}  // namespace qing
