// Resizing and the steps from a picture to a network's input.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <qing/nn/images/image.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

/// The image with another size, bilinear with antialiasing: when it shrinks, a triangle as wide as two pixels of the
/// result weighs the pixels. The result has the bytes of Pillow's Image.resize(size, Resampling.BILINEAR), which
/// torchvision's Resize uses: rows first, then columns, each rounded to 8 bits. Pillow 13 shrinks columns first where
/// the height shrinks much more than the width: values differ by 1 there. ValueError unless the sizes are in [1, 2^20].
Image resized(const Image& image, int64_t height, int64_t width);

/// How a picture of any size becomes one of the network's.
enum class ImageFit : uint8_t {
  stretch,  ///< both sides are resized
  crop,     ///< the shorter side is resized, and the middle is cut out
};
std::string_view name_of(ImageFit fit);  ///< "stretch", "crop"

/// What a model's configuration records of its input.
struct ImagePreprocessing {
  int64_t height = 28, width = 28, channels = 1;
  ImageFit fit = ImageFit::stretch;
  std::vector<float> mean = {0}, std = {1};  ///< of each channel, of values in [0, 1]

  /// ValueError naming the field, unless sizes are in [1, 4096], channels is 1 or 3, and there is a finite mean and a
  /// positive, finite deviation for each channel.
  void validate() const;
  int64_t values() const { return height * width * channels; }  ///< of one image
  /// Bytes of an image [height, width, channels]: fitted and with the right number of channels.
  Image fitted(Image image) const;
};

/// f32 [images, channels, height, width] of images u8 [images, height, width, channels]: (value/255 − mean)/std.
/// ShapeError or DTypeError unless they have the preprocessing's sizes. Uses threads.
Tensor normalized(const Tensor& images, const ImagePreprocessing& preprocessing);
/// The same of fitted images side by side.
Tensor normalized(std::span<const Image> images, const ImagePreprocessing& preprocessing);

}  // namespace qing::nn
