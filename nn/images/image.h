// Pictures in memory: 8 bits a channel, rows from the top, channels of a pixel side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <qing/tensor/errors.h>

namespace qing::nn {

/// A picture that cannot be read: damaged, of another format, or beyond a limit. The text says what and why, and names
/// no file.
class ImageError : public DataError {
 public:
  using DataError::DataError;
};

struct Image {
  int64_t height = 0, width = 0;
  int64_t channels = 1;         ///< 1: gray; 3: red, green, blue
  std::vector<uint8_t> pixels;  ///< [height, width, channels]

  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * channels; }
  uint8_t* row(int64_t y) { return pixels.data() + y * width * channels; }
};

/// A black image. ValueError unless the sizes are positive and channels is 1 or 3.
Image make_image(int64_t height, int64_t width, int64_t channels);

/// The image with 1 or 3 channels (ValueError otherwise). Gray is (19595·R + 38470·G + 7471·B + 2¹⁵)/2¹⁶, rounded down,
/// as Pillow has it (ITU-R 601-2).
Image with_channels(Image image, int64_t channels);

/// The part of an image that begins at (top, left). ValueError unless it lies in the image and is not empty.
Image cropped(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width);

/// The image as it is looked at, given EXIF's orientation of 1 to 8 (JEITA CP-3451, tag 274); others leave it as it is.
Image oriented(Image image, int orientation);
/// The orientation in a TIFF block, as EXIF has it: 1 without one and for a block that is malformed.
int exif_orientation(const uint8_t* tiff, size_t size);

}  // namespace qing::nn
