// Decoding, resizing and reading of pictures. tests/python/test_images.py compares them with Pillow.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <qing/nn/images/decode.h>
#include <qing/nn/images/image_data.h>
#include <qing/nn/images/resize.h>
#include <qing/tensor/files.h>
#include <qing/tensor/npy.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

Image numbered(int64_t height, int64_t width, int64_t channels) {
  Image image = make_image(height, width, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 37 % 251);
  return image;
}

std::string reason(std::string_view bytes, const DecodeOptions& options = {}) {
  try {
    decode_image(bytes, options);
  } catch (const ImageError& error) { return error.what(); }
  return "no error";
}

TEST(Images, PngIsWrittenAndReadBack) {
  for (const int64_t channels : {1, 3}) {
    const Image image = numbered(5, 7, channels);
    const Image back = decode_image(encode_png(image));
    EXPECT_EQ(back.height, 5);
    EXPECT_EQ(back.width, 7);
    EXPECT_EQ(back.channels, channels);
    EXPECT_EQ(back.pixels, image.pixels);
  }
}

// A cut at any place is an error and never a picture with made-up pixels.
TEST(Images, EveryTruncatedPngIsRefused) {
  const std::string png = encode_png(numbered(9, 6, 3));
  for (size_t size = 0; size < png.size(); ++size) {
    EXPECT_NE(reason(std::string_view(png).substr(0, size)), "no error") << size;
  }
}

TEST(Images, EveryChangedByteOfAPngIsRefusedOrGivesAPicture) {
  const std::string png = encode_png(numbered(9, 6, 3));
  size_t refused = 0;
  for (size_t at = 0; at < png.size(); ++at) {
    std::string changed = png;
    changed[at] = static_cast<char>(changed[at] ^ 0x55);
    refused += reason(changed) != "no error";
  }
  EXPECT_EQ(refused, png.size()) << "a checksum covers every chunk";
}

TEST(Images, SizesAreRefusedBeforeMemoryIsTaken) {
  std::string png = encode_png(numbered(2, 2, 1));
  const std::string huge("\x00\x00\xEA\x60\x00\x00\xEA\x60", 8);  // 60,000 × 60,000
  png.replace(16, 8, huge);
  EXPECT_NE(reason(png).find("damaged"), std::string::npos) << "its checksum is wrong: " << reason(png);
  const Image image = numbered(10, 20, 1);
  EXPECT_EQ(reason(encode_png(image), {.limits = {.max_pixels = 199}}),
            "the PNG says that it has 20 x 10 pixels; at most 199 pixels are accepted");
  EXPECT_EQ(reason(encode_png(image), {.limits = {.max_pixels = 200}}), "no error");
  EXPECT_NE(reason(encode_png(image), {.limits = {.max_bytes = 20}}).find("at most 20 are accepted"),
            std::string::npos);
}

TEST(Images, OtherFormatsAreNamed) {
  EXPECT_EQ(reason("GIF89a......"), "the picture looks like GIF; only PNG and JPEG are read");
  EXPECT_EQ(reason("RIFF....WEBPVP8 "), "the picture looks like WebP; only PNG and JPEG are read");
  EXPECT_EQ(reason(""), "the picture is empty: 0 bytes");
  EXPECT_EQ(reason("hello"), "the picture is neither PNG nor JPEG");
}

TEST(Images, OrientationsTurnThePicture) {
  const Image image = numbered(2, 3, 1);
  const std::vector<uint8_t>& p = image.pixels;  // 0 1 2 / 3 4 5
  using Pixels = std::vector<uint8_t>;
  const std::vector<Pixels> turned = {{p[0], p[1], p[2], p[3], p[4], p[5]}, {p[2], p[1], p[0], p[5], p[4], p[3]},
                                      {p[5], p[4], p[3], p[2], p[1], p[0]}, {p[3], p[4], p[5], p[0], p[1], p[2]},
                                      {p[0], p[3], p[1], p[4], p[2], p[5]}, {p[3], p[0], p[4], p[1], p[5], p[2]},
                                      {p[5], p[2], p[4], p[1], p[3], p[0]}, {p[2], p[5], p[1], p[4], p[0], p[3]}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image result = oriented(image, orientation);
    EXPECT_EQ(result.height, orientation < 5 ? 2 : 3) << orientation;
    EXPECT_EQ(result.pixels, turned[static_cast<size_t>(orientation - 1)]) << orientation;
  }
}

TEST(Images, MalformedExifHasNoOrientation) {
  const std::vector<uint8_t> good = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0};
  EXPECT_EQ(exif_orientation(good.data(), good.size()), 6);
  for (size_t size = 0; size < good.size(); ++size) EXPECT_EQ(exif_orientation(good.data(), size), 1) << size;
  std::vector<uint8_t> far = good;
  far[4] = far[5] = far[6] = far[7] = 0xFF;
  EXPECT_EQ(exif_orientation(far.data(), far.size()), 1);
}

TEST(Images, EqualPixelsStayEqualWhenResized) {
  Image image = make_image(13, 9, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{200});
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{4, 4}, {30, 9}, {13, 50}, {1, 1}}) {
    const Image result = resized(image, height, width);
    EXPECT_EQ(std::count(result.pixels.begin(), result.pixels.end(), 200), height * width * 3);
  }
  EXPECT_THROW(resized(image, 0, 4), ValueError);
}

// Kilobytes that this process held at most.
int64_t peak() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// A few kilobytes of PNG may hold a row or a column of millions of pixels, which would be gigabytes if one side were
// widened before the other shrinks.
TEST(Images, ARowOrAColumnOfMillionsOfPixelsTakesLittleMemory) {
  constexpr int64_t kLong = 1 << 20;
  ImagePreprocessing p;
  p.height = p.width = 224, p.channels = 3, p.mean = p.std = {1, 1, 1};
  for (const ImageFit fit : {ImageFit::stretch, ImageFit::crop}) {
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{kLong, 1}, {1, kLong}, {kLong / 2, 2}}) {
      Image image = make_image(height, width, 1);
      std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{200});
      const int64_t before = peak();
      p.fit = fit;
      const Image result = p.fitted(std::move(image));
      EXPECT_LT(peak() - before, 64 << 10) << height << " x " << width;
      ASSERT_EQ(result.pixels.size(), 224U * 224 * 3);
      for (const uint8_t value : result.pixels) ASSERT_NEAR(value, 200, 1);
    }
  }
}

TEST(Images, CropIsTheMiddleOfTheResizedPicture) {
  ImagePreprocessing p;
  p.fit = ImageFit::crop, p.channels = 3, p.mean = p.std = {1, 1, 1};
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{31, 57}, {90, 14}, {8, 8}, {5, 200}, {16, 48}}) {
    for (const auto& [to_height, to_width] : {std::pair<int64_t, int64_t>{16, 16}, {7, 40}, {64, 9}}) {
      p.height = to_height, p.width = to_width;
      const Image image = numbered(height, width, 3);
      const double scale = std::max(static_cast<double>(to_height) / static_cast<double>(height),
                                    static_cast<double>(to_width) / static_cast<double>(width));
      const auto side = [&](int64_t from, int64_t least) {
        return std::max<int64_t>(std::lround(static_cast<double>(from) * scale), least);
      };
      const Image whole = resized(image, side(height, to_height), side(width, to_width));
      const Image middle =
          cropped(whole, (whole.height - to_height) / 2, (whole.width - to_width) / 2, to_height, to_width);
      EXPECT_EQ(p.fitted(image).pixels, middle.pixels) << height << " x " << width << " to " << to_height;
    }
  }
}

TEST(Images, NormalizedIsByChannel) {
  ImagePreprocessing p;
  p.height = 1, p.width = 2, p.channels = 3;
  p.mean = {0, 0.5F, 1}, p.std = {1, 0.5F, 2};
  Image image = make_image(1, 2, 3);
  image.pixels = {255, 255, 255, 0, 0, 0};
  const Tensor x = normalized(std::span<const Image>(&image, 1), p);
  EXPECT_EQ(x.shape(), (Shape{1, 3, 1, 2}));
  const std::vector<float> want = {1, 0, 1, -1, 0, -0.5F};
  EXPECT_EQ(std::vector<float>(x.data<float>(), x.data<float>() + 6), want);
}

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(ImageData, IdxHasLabelsBeside) {
  const test::TempFolder folder;
  const std::string images(
      "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x02"
      "abcd",
      20);
  const std::string labels("\0\0\x08\x01\0\0\0\x02\x07\x03", 10);
  write(folder.path() / "t-images-idx3-ubyte", images);
  write(folder.path() / "t-labels-idx1-ubyte", labels);
  const LabelledImages data = read_images(folder.path() / "t-images-idx3-ubyte");
  EXPECT_EQ(data.pixels.shape(), (Shape{2, 1, 2, 1}));
  EXPECT_EQ(data.names, (std::vector<std::string>{"3", "7"}));
  EXPECT_EQ(data.labels, (std::vector<int32_t>{1, 0}));
  for (size_t size = 0; size < images.size(); ++size) {
    write(folder.path() / "t-images-idx3-ubyte", images.substr(0, size));
    EXPECT_THROW(read_images(folder.path() / "t-images-idx3-ubyte"), DataError) << size;
  }
  write(folder.path() / "t-images-idx3-ubyte", images + "x");
  EXPECT_THROW(read_images(folder.path() / "t-images-idx3-ubyte"), DataError);
}

// numpy 2.4.6 writes the labels of an int8 array as int8, of a comparison as bool, and of one-hot rows in two
// dimensions.
TEST(ImageData, LabelsOfNumpyAreWholeNumbersOfAnySize) {
  const test::TempFolder folder;
  save_npy(folder.path() / "t-images.npy", Tensor::zeros({3, 2, 2}, DType::u8));
  const auto labelled = [&](const Tensor& labels) {
    save_npy(folder.path() / "t-labels.npy", labels);
    return read_images(folder.path() / "t-images.npy");
  };
  const Tensor numbers = Tensor::from<int64_t>({2, -1, 2}, {3});
  for (const DType dtype : {DType::i8, DType::i32, DType::i64}) {
    const LabelledImages data = labelled(numbers.to(dtype));
    EXPECT_EQ(data.names, (std::vector<std::string>{"-1", "2"})) << name_of(dtype);
    EXPECT_EQ(data.labels, (std::vector<int32_t>{1, 0, 1})) << name_of(dtype);
  }
  const auto refusal = [&](const Tensor& labels) -> std::string {
    try {
      labelled(labels);
    } catch (const DataError& error) { return error.what(); }
    return "read";
  };
  EXPECT_NE(refusal(numbers.to(DType::boolean)).find("bool of shape [3]"), std::string::npos)
      << refusal(numbers.to(DType::boolean));
  EXPECT_NE(refusal(numbers.unsqueeze(1)).find("i64 of shape [3, 1]"), std::string::npos)
      << refusal(numbers.unsqueeze(1));
}

TEST(ImageData, FoldersAreLabels) {
  const test::TempFolder folder;
  for (const char* label : {"cat", "dog"}) {
    std::filesystem::create_directory(folder.path() / label);
    write(folder.path() / label / "a.png", encode_png(numbered(4, 4, 3)));
  }
  write(folder.path() / "dog" / "broken.png", "\x89PNG\r\n\x1A\n");
  EXPECT_THROW(read_images(folder.path()), DataError);
  std::vector<std::string> told;
  const LabelledImages data =
      read_images(folder.path(), {.on_bad_image = [&](const std::string& what) { told.push_back(what); }});
  EXPECT_EQ(data.names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(data.size(), 2);
  EXPECT_EQ(data.left_out, 1);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("broken.png"), std::string::npos);
}

TEST(ImageData, TablesListPathsInTheirFolder) {
  const test::TempFolder folder;
  write(folder.path() / "a.png", encode_png(numbered(4, 4, 1)));
  write(folder.path() / "b.png", encode_png(numbered(8, 8, 1)));
  write(folder.path() / "list.csv", "path,label\na.png,one\nb.png,two\n");
  EXPECT_THROW(read_images(folder.path() / "list.csv"), DataError) << "two sizes";
  const LabelledImages data = read_images(folder.path() / "list.csv", {.height = 4, .width = 4});
  EXPECT_EQ(data.pixels.shape(), (Shape{2, 4, 4, 1}));
  write(folder.path() / "list.csv", "path,label\n../a.png,one\n");
  EXPECT_THROW(read_images(folder.path() / "list.csv"), DataError);
}

}  // namespace
}  // namespace qing::nn
