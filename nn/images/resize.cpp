#include <qing/nn/images/resize.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

// Weights are fixed-point numbers, as Pillow has them: sums of 8-bit values fit into 32 bits.
constexpr int kFractionBits = 32 - 8 - 2;
constexpr int64_t kLargestSide = 1 << 20, kLargestInput = 4096;

// The pixels that one pixel of the result is made of.
struct Weights {
  int64_t first;
  std::vector<int32_t> of;
};

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

std::vector<Weights> weights_of(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), wide = std::max(scale, 1.0);
  std::vector<Weights> all;
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    // Pillow rounds halves up.
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - wide + 0.5)));
    const int64_t last = std::min<int64_t>(in, static_cast<int64_t>(std::floor(centre + wide + 0.5)));
    std::vector<double> exact;
    double total = 0;
    for (int64_t j = first; j < last; ++j) {
      exact.push_back(triangle((static_cast<double>(j) - centre + 0.5) / wide));
      total += exact.back();
    }
    Weights weights{first, {}};
    for (const double w : exact) {
      const double share = total != 0 ? w / total : w;
      weights.of.push_back(static_cast<int32_t>(std::floor(0.5 + share * (1 << kFractionBits))));
    }
    all.push_back(std::move(weights));
  }
  return all;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

// Sums of values `step` apart.
uint8_t weighted(const Weights& weights, const uint8_t* from, int64_t step) {
  int32_t sum = 1 << (kFractionBits - 1);
  from += weights.first * step;
  for (const int32_t w : weights.of) {
    sum += *from * w;
    from += step;
  }
  return rounded(sum);
}

Image with_width(const Image& image, int64_t width) {
  if (width == image.width) return image;
  const std::vector<Weights> weights = weights_of(image.width, width);
  Image result = make_image(image.height, width, image.channels);
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < image.channels; ++c) {
        result.row(y)[x * image.channels + c] =
            weighted(weights[static_cast<size_t>(x)], image.row(y) + c, image.channels);
      }
    }
  }
  return result;
}

Image with_height(const Image& image, int64_t height) {
  if (height == image.height) return image;
  const std::vector<Weights> weights = weights_of(image.height, height);
  Image result = make_image(height, image.width, image.channels);
  const int64_t row = image.width * image.channels;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t i = 0; i < row; ++i) {
      result.row(y)[i] = weighted(weights[static_cast<size_t>(y)], image.pixels.data() + i, row);
    }
  }
  return result;
}

// f32 [channels, height, width] of one image.
void normalize(const uint8_t* from, const ImagePreprocessing& p, float* to) {
  const int64_t pixels = p.height * p.width;
  for (int64_t c = 0; c < p.channels; ++c) {
    const float mean = p.mean[static_cast<size_t>(c)], deviation = p.std[static_cast<size_t>(c)];
    for (int64_t i = 0; i < pixels; ++i) {
      to[c * pixels + i] = (static_cast<float>(from[i * p.channels + c]) / 255.0F - mean) / deviation;
    }
  }
}

}  // namespace

Image resized(const Image& image, int64_t height, int64_t width) {
  for (const int64_t side : {height, width}) {
    if (side < 1 || side > kLargestSide) {
      throw ValueError(fmt::format("resize: {} x {} pixels; each side is 1 to {}", width, height, kLargestSide));
    }
  }
  return with_height(with_width(image, width), height);
}

std::string_view name_of(ImageFit fit) { return fit == ImageFit::stretch ? "stretch" : "crop"; }

void ImagePreprocessing::validate() const {
  const auto side = [](const char* name, int64_t value) {
    if (value < 1 || value > kLargestInput) {
      throw ValueError(fmt::format("preprocessing: {} {} is outside 1 to {}", name, value, kLargestInput));
    }
  };
  side("height", height);
  side("width", width);
  if (channels != 1 && channels != 3) {
    throw ValueError(fmt::format("preprocessing: channels {}; it must be 1 or 3", channels));
  }
  const auto wanted = static_cast<size_t>(channels);
  if (mean.size() != wanted || std.size() != wanted) {
    throw ValueError(
        fmt::format("preprocessing: {} means and {} deviations for {} channels", mean.size(), std.size(), channels));
  }
  for (size_t c = 0; c < wanted; ++c) {
    if (!std::isfinite(mean[c]) || !std::isfinite(std[c]) || std[c] <= 0) {
      throw ValueError(
          fmt::format("preprocessing: mean {} and deviation {} of channel {}; they must be finite, and the "
                      "deviation positive",
                      mean[c], std[c], c));
    }
  }
}

Image ImagePreprocessing::fitted(Image image) const {
  image = with_channels(std::move(image), channels);
  if (fit == ImageFit::stretch) return resized(image, height, width);
  // As torchvision's Resize of the shorter side and CenterCrop, for any proportion of the input.
  const double scale = std::max(static_cast<double>(height) / static_cast<double>(image.height),
                                static_cast<double>(width) / static_cast<double>(image.width));
  const auto side = [&](int64_t from, int64_t least) {
    return std::clamp(static_cast<int64_t>(std::lround(static_cast<double>(from) * scale)), least, kLargestSide);
  };
  const Image whole = resized(image, side(image.height, height), side(image.width, width));
  return cropped(whole, (whole.height - height) / 2, (whole.width - width) / 2, height, width);
}

Tensor normalized(const Tensor& images, const ImagePreprocessing& p) {
  if (images.dtype() != DType::u8) throw DTypeError("normalized: images are u8");
  if (images.dim() != 4 || images.size(1) != p.height || images.size(2) != p.width || images.size(3) != p.channels) {
    throw ShapeError(fmt::format("normalized: images {}; the network takes [images, {}, {}, {}]",
                                 to_string(images.shape()), p.height, p.width, p.channels));
  }
  const Tensor dense = images.contiguous();
  Tensor values = Tensor::empty({images.size(0), p.channels, p.height, p.width});
  parallel_for(images.size(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      normalize(dense.data<uint8_t>() + n * p.values(), p, values.data<float>() + n * p.values());
    }
  });
  return values;
}

Tensor normalized(std::span<const Image> images, const ImagePreprocessing& p) {
  Tensor values = Tensor::empty({static_cast<int64_t>(images.size()), p.channels, p.height, p.width});
  for (size_t n = 0; n < images.size(); ++n) {
    const Image& image = images[n];
    if (image.height != p.height || image.width != p.width || image.channels != p.channels) {
      throw ShapeError(
          fmt::format("normalized: image {} has {} x {} pixels of {} channels; the network takes {} x {} of "
                      "{}",
                      n, image.width, image.height, image.channels, p.width, p.height, p.channels));
    }
    normalize(image.pixels.data(), p, values.data<float>() + static_cast<int64_t>(n) * p.values());
  }
  return values;
}

}  // namespace qing::nn
