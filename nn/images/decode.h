// PNG and JPEG from bytes in memory, by libpng and libjpeg-turbo. Both have long been fuzzed; what they say about an
// untrusted file is checked against limits before memory is taken.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <qing/nn/images/decode_options.h>
#include <qing/nn/images/image.h>

namespace qing::nn {

enum class ImageFormat : uint8_t { png, jpeg };

/// The format of a picture by its first bytes. ImageError, naming the format if it is GIF, WebP, BMP, TIFF, HEIF or
/// SVG: only PNG and JPEG are read.
ImageFormat image_format(std::string_view bytes);

/// Decodes a PNG or JPEG. Palettes, 1 to 16 bits, interlaced PNG and transparency are converted: 16 bits keep their
/// upper 8, transparent pixels are laid on the background. Progressive, CMYK and YCCK JPEG are converted as Pillow
/// does. A picture with an EXIF orientation is turned. An animated PNG gives its default picture. Colour profiles and
/// gamma are ignored, as by Pillow. ImageError for a file that is truncated, has a wrong checksum, is damaged in
/// another way, or exceeds a limit. Memory is at most about 20 bytes for each pixel of the limit. Thread-safe.
Image decode_image(std::string_view bytes, const DecodeOptions& options = {});

/// A PNG of the image, 8 bits a channel.
std::string encode_png(const Image& image);

}  // namespace qing::nn
