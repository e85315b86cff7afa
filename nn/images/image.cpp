#include <qing/nn/images/image.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace qing::nn {
namespace {

void check_channel_count(int64_t channels) {
  if (channels != 1 && channels != 3) {
    throw ValueError(fmt::format("an image has 1 channel (gray) or 3 (red, green, blue), not {}", channels));
  }
}

// Numbers of a TIFF block, in its byte order. None beyond its end.
class TiffReader {
 public:
  TiffReader(const uint8_t* data, size_t size) : data_(data), size_(size) {
    if (size < 8) return;
    little_ = data[0] == 'I' && data[1] == 'I';
    valid_ = little_ || (data[0] == 'M' && data[1] == 'M');
  }
  bool valid() const { return valid_; }
  bool has(size_t at, size_t count) const { return at <= size_ && count <= size_ - at; }
  uint32_t number(size_t at, size_t bytes) const {
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value = value << 8 | data_[at + (little_ ? bytes - 1 - i : i)];
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
  bool little_ = false, valid_ = false;
};

}  // namespace

Image make_image(int64_t height, int64_t width, int64_t channels) {
  check_channel_count(channels);
  if (height < 1 || width < 1) throw ValueError(fmt::format("an image of {} x {} pixels is empty", width, height));
  Image image{height, width, channels, {}};
  image.pixels.resize(static_cast<size_t>(height * width * channels));
  return image;
}

Image with_channels(Image image, int64_t channels) {
  check_channel_count(channels);
  if (image.channels == channels) return image;
  Image result = make_image(image.height, image.width, channels);
  const size_t count = static_cast<size_t>(image.height * image.width);
  for (size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      std::fill_n(result.pixels.begin() + static_cast<ptrdiff_t>(3 * i), 3, image.pixels[i]);
    } else {
      const uint8_t* rgb = image.pixels.data() + 3 * i;
      result.pixels[i] = static_cast<uint8_t>((19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 0x8000U) >> 16);
    }
  }
  return result;
}

Image cropped(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width) {
  if (top < 0 || left < 0 || height < 1 || width < 1 || height > image.height - top || width > image.width - left) {
    throw ValueError(fmt::format("crop: {} x {} pixels at ({}, {}) are not inside an image of {} x {}", width, height,
                                 left, top, image.width, image.height));
  }
  Image part = make_image(height, width, image.channels);
  for (int64_t y = 0; y < height; ++y) {
    std::copy_n(image.row(top + y) + left * image.channels, width * image.channels, part.row(y));
  }
  return part;
}

Image oriented(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  // Orientations 5 to 8 exchange rows and columns; then rows or columns are reversed.
  const bool transposed = orientation >= 5;
  const bool flips_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool flips_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  Image turned =
      make_image(transposed ? image.width : image.height, transposed ? image.height : image.width, image.channels);
  for (int64_t y = 0; y < turned.height; ++y) {
    for (int64_t x = 0; x < turned.width; ++x) {
      int64_t row = flips_y ? turned.height - 1 - y : y, column = flips_x ? turned.width - 1 - x : x;
      if (transposed) std::swap(row, column);
      std::copy_n(image.row(row) + column * image.channels, image.channels, turned.row(y) + x * image.channels);
    }
  }
  return turned;
}

int exif_orientation(const uint8_t* tiff, size_t size) {
  constexpr uint32_t kOrientation = 274, kShort = 3;
  const TiffReader block(tiff, size);
  if (!block.valid() || block.number(2, 2) != 42) return 1;
  const size_t directory = block.number(4, 4);
  if (!block.has(directory, 2)) return 1;
  const size_t entries = block.number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (!block.has(entry, 12)) return 1;
    if (block.number(entry, 2) != kOrientation) continue;
    const uint32_t value = block.number(entry + 2, 2) == kShort ? block.number(entry + 8, 2) : 1;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace qing::nn
