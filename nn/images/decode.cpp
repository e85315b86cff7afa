#include <qing/nn/images/decode.h>

#include <fmt/format.h>

#include <utility>

#include <qing/nn/images/codecs_detail.h>

namespace qing::nn {
namespace {

struct ForeignFormat {
  std::string_view name, magic;
  size_t at = 0;
};

constexpr ForeignFormat kForeignPictures[] = {{"GIF", "GIF8"},
                                              {"WebP", "WEBP", 8},
                                              {"BMP", "BM"},
                                              {"TIFF", {"II*\0", 4}},
                                              {"TIFF", {"MM\0*", 4}},
                                              {"HEIF", "ftyp", 4},
                                              {"SVG", "<svg"},
                                              {"SVG", "<?xml"},
                                              {"JPEG 2000", "jP  ", 4},
                                              {"ICO", {"\0\0\1\0", 4}},
                                              {"JPEG XL", {"\xFF\x0A", 2}}};

}  // namespace

ImageFormat image_format(std::string_view bytes) {
  if (bytes.empty()) throw ImageError("the picture is empty: 0 bytes");
  if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return ImageFormat::png;
  if (bytes.starts_with("\xFF\xD8\xFF")) return ImageFormat::jpeg;
  for (const ForeignFormat& other : kForeignPictures) {
    if (bytes.size() >= other.at && bytes.substr(other.at).starts_with(other.magic)) {
      throw ImageError(fmt::format("the picture looks like {}; only PNG and JPEG are read", other.name));
    }
  }
  throw ImageError("the picture is neither PNG nor JPEG");
}

void check_picture_size(const char* format, uint64_t width, uint64_t height, const ImageLimits& limits) {
  if (width == 0 || height == 0) throw ImageError(fmt::format("the {} says that it is empty", format));
  const auto most = static_cast<uint64_t>(limits.max_pixels);
  if (height > most / width) {
    throw ImageError(fmt::format("the {} says that it has {} x {} pixels; at most {} pixels are accepted", format,
                                 width, height, most));
  }
}

Image decode_image(std::string_view bytes, const DecodeOptions& options) {
  if (bytes.size() > static_cast<uint64_t>(options.limits.max_bytes)) {
    throw ImageError(
        fmt::format("the picture has {} bytes; at most {} are accepted", bytes.size(), options.limits.max_bytes));
  }
  DecodedImage decoded =
      image_format(bytes) == ImageFormat::png ? decode_png(bytes, options) : decode_jpeg(bytes, options);
  if (options.channels != 0) decoded.image = with_channels(std::move(decoded.image), options.channels);
  return oriented(std::move(decoded.image), decoded.orientation);
}

}  // namespace qing::nn
