// The two decoders behind decode_image(). Private to this folder.
#pragma once

#include <cstdint>
#include <string_view>

#include <qing/nn/images/decode_options.h>
#include <qing/nn/images/image.h>

namespace qing::nn {

/// A picture as its file has it, and how it is to be turned.
struct DecodedImage {
  Image image;  ///< gray or colours; transparency is laid on the background
  int orientation = 1;
};

DecodedImage decode_png(std::string_view bytes, const DecodeOptions& options);
DecodedImage decode_jpeg(std::string_view bytes, const DecodeOptions& options);

/// ImageError unless a picture of this size is within the limit. `format` is "PNG" or "JPEG".
void check_picture_size(const char* format, uint64_t width, uint64_t height, const ImageLimits& limits);

/// value·part/255, rounded as Pillow rounds it.
constexpr uint8_t multiplied(uint32_t value, uint32_t part) {
  const uint32_t product = value * part + 128;
  return static_cast<uint8_t>((product + (product >> 8)) >> 8);
}

}  // namespace qing::nn
