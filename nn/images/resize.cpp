#include <qing/nn/images/resize.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

// Weights are fixed-point numbers, as Pillow has them: sums of 8-bit values fit into 32 bits.
constexpr int kFractionBits = 32 - 8 - 2;
constexpr int64_t kLargestSide = 1 << 20, kLargestInput = 4096;

// The strip of rows that is widened at a time has about so many bytes, and at most so many rows.
constexpr int64_t kStripBytes = 1 << 20, kStripRows = 64;

// The pixels [first, last) of `in` that pixel i of `out` is made of. Pillow rounds halves up.
struct Range {
  Range(int64_t i, int64_t in, int64_t out)
      : scale(static_cast<double>(in) / static_cast<double>(out)),
        wide(std::max(scale, 1.0)),
        centre((static_cast<double>(i) + 0.5) * scale),
        first(std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - wide + 0.5)))),
        last(std::min<int64_t>(in, static_cast<int64_t>(std::floor(centre + wide + 0.5)))) {}
  double scale, wide, centre;
  int64_t first, last;
};

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

void find_weights(const Range& range, std::vector<int32_t>& weights) {
  const auto exact = [&](int64_t j) { return triangle((static_cast<double>(j) - range.centre + 0.5) / range.wide); };
  double total = 0;
  for (int64_t j = range.first; j < range.last; ++j) total += exact(j);
  weights.clear();
  for (int64_t j = range.first; j < range.last; ++j) {
    const double share = total != 0 ? exact(j) / total : exact(j);
    weights.push_back(static_cast<int32_t>(std::floor(0.5 + share * (1 << kFractionBits))));
  }
}

constexpr int32_t kHalf = 1 << (kFractionBits - 1);
uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

// A rectangle of a resized picture.
struct Part {
  int64_t top, left, height, width;
};

// Columns of `part` of rows [first, last) of the picture when it is `width` wide.
void widen(const Image& image, int64_t first, int64_t last, int64_t width, const Part& part,
           std::vector<uint8_t>& rows) {
  const int64_t channels = image.channels, row = part.width * channels;
  rows.resize(static_cast<size_t>((last - first) * row));
  std::vector<int32_t> weights;
  if (width == image.width) {
    for (int64_t y = first; y < last; ++y) {
      std::copy_n(image.row(y) + part.left * channels, row, rows.data() + (y - first) * row);
    }
    return;
  }
  for (int64_t x = 0; x < part.width; ++x) {
    const Range range(part.left + x, image.width, width);
    find_weights(range, weights);
    for (int64_t y = first; y < last; ++y) {
      const uint8_t* const pixels = image.row(y) + range.first * channels;
      for (int64_t c = 0; c < channels; ++c) {
        int32_t sum = kHalf;
        for (size_t j = 0; j < weights.size(); ++j) sum += pixels[static_cast<int64_t>(j) * channels + c] * weights[j];
        rows[static_cast<size_t>((y - first) * row + x * channels + c)] = rounded(sum);
      }
    }
  }
}

// A row of the result, to which rows of the picture are still added.
struct OpenRow {
  int64_t y;
  Range range;
  std::vector<int32_t> weights, sums;
};

// The part of the resized picture. Its memory is a few rows of the part beside the picture and the result: a picture
// may be a single row or column of millions of pixels.
Image resized_part(const Image& image, int64_t height, int64_t width, const Part& part) {
  Image result = make_image(part.height, part.width, image.channels);
  if (image.width == 1 && part.width > 1) {
    // All columns are equal, so that one is enough.
    const Image column = resized_part(image, height, 1, {part.top, 0, part.height, 1});
    for (int64_t y = 0; y < part.height; ++y) {
      for (int64_t x = 0; x < part.width; ++x) {
        std::copy_n(column.row(y), image.channels, result.row(y) + x * image.channels);
      }
    }
    return result;
  }
  const int64_t row = part.width * image.channels, bottom = part.top + part.height;
  const bool same = height == image.height;
  const int64_t from = same ? part.top : Range(part.top, image.height, height).first;
  const int64_t to = same ? bottom : Range(bottom - 1, image.height, height).last;
  const int64_t strip = std::clamp<int64_t>(kStripBytes / row, 1, kStripRows);
  std::vector<uint8_t> rows;
  std::deque<OpenRow> open;
  int64_t next = part.top;  // the first row of the result that is not open yet
  for (int64_t begin = from; begin < to; begin += strip) {
    const int64_t end = std::min(begin + strip, to);
    widen(image, begin, end, width, part, rows);
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* const pixels = rows.data() + (y - begin) * row;
      if (same) {
        std::copy_n(pixels, row, result.row(y - part.top));
        continue;
      }
      for (; next < bottom; ++next) {
        const Range range(next, image.height, height);
        if (range.first > y) break;
        open.push_back({next, range, {}, std::vector<int32_t>(static_cast<size_t>(row), kHalf)});
        find_weights(range, open.back().weights);
      }
      for (OpenRow& each : open) {
        const int32_t weight = each.weights[static_cast<size_t>(y - each.range.first)];
        for (int64_t i = 0; i < row; ++i) each.sums[static_cast<size_t>(i)] += pixels[i] * weight;
      }
      for (; !open.empty() && open.front().range.last == y + 1; open.pop_front()) {
        std::ranges::transform(open.front().sums, result.row(open.front().y - part.top), rounded);
      }
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
  return resized_part(image, height, width, {.top = 0, .left = 0, .height = height, .width = width});
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
  // Three equal channels would be resized alike.
  if (image.channels > channels) image = with_channels(std::move(image), channels);
  if (fit == ImageFit::stretch) return with_channels(resized(image, height, width), channels);
  // As torchvision's Resize of the shorter side and CenterCrop, for any proportion of the input. Only the middle of the
  // longer side is computed.
  const double scale = std::max(static_cast<double>(height) / static_cast<double>(image.height),
                                static_cast<double>(width) / static_cast<double>(image.width));
  const auto side = [&](int64_t from, int64_t least) {
    return std::max(static_cast<int64_t>(std::llround(static_cast<double>(from) * scale)), least);
  };
  const int64_t whole_height = side(image.height, height), whole_width = side(image.width, width);
  const Part middle{
      .top = (whole_height - height) / 2, .left = (whole_width - width) / 2, .height = height, .width = width};
  return with_channels(resized_part(image, whole_height, whole_width, middle), channels);
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
