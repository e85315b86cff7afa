// The gradient of a convolution's input as convolutions of stride 1. Not a public header.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/ops/pixel_rows.h>
#include <qing/tensor/ops/window.h>

namespace qing {

/// dx has pixels of stride² phases. Those of one phase meet the same elements of the kernel, so they are the windows of
/// a convolution of dy with stride 1. Needs a stride or a dilation of 1.
struct Phase {
  Taps taps;
  int64_t shift;  ///< of the pixel i·stride + phase: the first row of dy in its window is i + shift

  Phase(const Window& w, int64_t phase) {
    if (w.stride == 1) {
      // Kernel element k of pixel p meets p + padding − k·dilation.
      taps = {w.kernel - 1, -1, w.kernel};
      shift = w.padding - (w.kernel - 1) * w.dilation;
      return;
    }
    const int64_t first = (phase + w.padding) % w.stride;
    const int64_t count = first < w.kernel ? (w.kernel - 1 - first) / w.stride + 1 : 0;
    taps = {first + (count - 1) * w.stride, -w.stride, count};
    shift = (phase + w.padding - first) / w.stride - (count - 1);
  }
};

inline std::vector<Phase> phases_of(const Window& w) {
  std::vector<Phase> all;
  for (int64_t phase = 0; phase < w.stride; ++phase) all.emplace_back(w, phase);
  return all;
}

}  // namespace qing
