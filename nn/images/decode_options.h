// How pictures are decoded, and what is too much.
#pragma once

#include <array>
#include <cstdint>

namespace qing::nn {

struct ImageLimits {
  int64_t max_bytes = int64_t{16} << 20;   ///< of an encoded picture
  int64_t max_pixels = int64_t{16} << 20;  ///< width·height of the decoded one
};

struct DecodeOptions {
  /// 1: gray; 3: red, green, blue; 0: gray for a gray picture without colours, else 3.
  int64_t channels = 0;
  ImageLimits limits = {};
  /// What is behind transparent pixels: red, green, blue.
  std::array<uint8_t, 3> background = {255, 255, 255};
};

}  // namespace qing::nn
