// libpng reports errors by a jump out of its functions. The functions that call it therefore hold no object with a
// destructor: all of these belong to a state outside, and the jump only skips C code.
#include <png.h>

#include <fmt/format.h>

#include <csetjmp>
#include <cstring>
#include <utility>
#include <vector>

#include <qing/nn/images/codecs_detail.h>

namespace qing::nn {
namespace {

// The most memory that one chunk beside the picture, such as a colour profile, may take when it is unpacked.
constexpr png_alloc_size_t kChunkBytes = png_alloc_size_t{1} << 20;

struct PngReading {
  std::string_view bytes;
  const DecodeOptions& options;
  size_t at = 0;
  png_structp png = nullptr;
  png_infop info = nullptr, end = nullptr;
  std::vector<uint8_t> pixels;  // with the channels that libpng gives
  std::vector<uint8_t*> rows;
  uint32_t width = 0, height = 0, channels = 0;
  int orientation = 1;
  char message[120] = {};

  PngReading(std::string_view from, const DecodeOptions& how) : bytes(from), options(how) {}
  ~PngReading() { png_destroy_read_struct(&png, &info, &end); }
  PngReading(const PngReading&) = delete;
  PngReading& operator=(const PngReading&) = delete;
};

void fail_png(png_structp png, png_const_charp message) {
  auto* state = static_cast<PngReading*>(png_get_error_ptr(png));
  std::strncpy(state->message, message, sizeof state->message - 1);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* state = static_cast<PngReading*>(png_get_io_ptr(png));
  if (count > state->bytes.size() - state->at) png_error(png, "the file ends early");
  std::memcpy(out, state->bytes.data() + state->at, count);
  state->at += count;
}

void note_orientation(PngReading& state, png_infop info) {
  png_bytep exif = nullptr;
  png_uint_32 size = 0;
  if (png_get_eXIf_1(state.png, info, &size, &exif) != 0 && exif != nullptr) {
    state.orientation = exif_orientation(exif, size);
  }
}

// Reads all before the pixels, and says what libpng shall make of them. False after an error.
bool read_header(PngReading& state) {
  if (setjmp(png_jmpbuf(state.png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  png_set_crc_action(state.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // libpng's own limit on sizes is 1,000,000; ours is checked when the size is known.
  png_set_user_limits(state.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(state.png, kChunkBytes);
  // Chunks that change no pixel here.
  static const png_byte kUnused[] = "iCCP\0tEXt\0zTXt\0iTXt\0sPLT\0hIST\0pCAL\0sCAL\0tIME";
  png_set_keep_unknown_chunks(state.png, PNG_HANDLE_CHUNK_NEVER, kUnused, 9);
  png_set_read_fn(state.png, &state, read_bytes);
  png_read_info(state.png, state.info);
  state.width = png_get_image_width(state.png, state.info);
  state.height = png_get_image_height(state.png, state.info);
  const png_byte depth = png_get_bit_depth(state.png, state.info), type = png_get_color_type(state.png, state.info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(state.png);
  if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(state.png);
  if (png_get_valid(state.png, state.info, PNG_INFO_tRNS) != 0) png_set_tRNS_to_alpha(state.png);
  if (depth == 16) png_set_strip_16(state.png);
  png_set_interlace_handling(state.png);
  note_orientation(state, state.info);
  return true;
}

// Says how the rows will be. False after an error.
bool update_header(PngReading& state) {
  if (setjmp(png_jmpbuf(state.png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  png_read_update_info(state.png, state.info);
  state.channels = png_get_channels(state.png, state.info);
  if (png_get_rowbytes(state.png, state.info) != size_t{state.width} * state.channels) {
    png_error(state.png, "rows of an unexpected size");
  }
  return true;
}

// False after an error.
bool read_pixels(PngReading& state) {
  if (setjmp(png_jmpbuf(state.png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  png_read_image(state.png, state.rows.data());
  png_read_end(state.png, state.end);
  note_orientation(state, state.end);
  return true;
}

[[noreturn]] void refuse_png(const PngReading& state) {
  throw ImageError(fmt::format("the PNG is damaged: {}", state.message));
}

// The picture without the alpha channel, which is the last of its 2 or 4.
Image composited(const PngReading& state) {
  const size_t channels = state.channels, colours = channels < 3 ? 1 : 3;
  const auto& background = state.options.background;
  // A gray picture stays gray on a gray background.
  const bool gray =
      colours == 1 && (channels == 1 || (background[0] == background[1] && background[1] == background[2]));
  Image image = make_image(state.height, state.width, gray ? 1 : 3);
  const size_t count = size_t{state.width} * state.height, wide = gray ? 1 : 3;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* from = state.pixels.data() + i * channels;
    const uint32_t alpha = channels == colours ? 255 : from[colours];
    for (size_t c = 0; c < wide; ++c) {
      const uint32_t colour = from[colours == 1 ? 0 : c];
      // As Pillow pastes one picture on another with a mask: one rounding for the sum.
      const uint32_t mixed = colour * alpha + background[c] * (255 - alpha) + 128;
      image.pixels[i * wide + c] = static_cast<uint8_t>((mixed + (mixed >> 8)) >> 8);
    }
  }
  return image;
}

}  // namespace

DecodedImage decode_png(std::string_view bytes, const DecodeOptions& options) {
  PngReading state(bytes, options);
  state.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, fail_png, ignore_warning);
  if (state.png == nullptr) throw std::bad_alloc();
  state.info = png_create_info_struct(state.png);
  state.end = png_create_info_struct(state.png);
  if (state.info == nullptr || state.end == nullptr) throw std::bad_alloc();
  if (!read_header(state)) refuse_png(state);
  check_picture_size("PNG", state.width, state.height, options.limits);
  if (!update_header(state)) refuse_png(state);
  state.pixels.resize(size_t{state.width} * state.height * state.channels);
  for (size_t y = 0; y < state.height; ++y)
    state.rows.push_back(state.pixels.data() + y * state.width * state.channels);
  if (!read_pixels(state)) refuse_png(state);
  if (state.channels == 1 || state.channels == 3) {
    Image image{state.height, state.width, state.channels, std::move(state.pixels)};
    return {std::move(image), state.orientation};
  }
  return {composited(state), state.orientation};
}

namespace {

struct PngWriting {
  std::string out;
  bool failed = false;
};

void write_bytes(png_structp png, png_bytep data, size_t count) {
  auto* state = static_cast<PngWriting*>(png_get_io_ptr(png));
  try {
    state->out.append(reinterpret_cast<const char*>(data), count);
  } catch (...) { state->failed = true; }
  if (state->failed) png_error(png, "no memory");
}

void flush_bytes(png_structp) {}

// False after an error.
bool write_png(png_structp png, png_infop info, const Image& image, PngWriting& state) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  png_set_write_fn(png, &state, write_bytes, flush_bytes);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8,
               image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int64_t y = 0; y < image.height; ++y) png_write_row(png, image.row(y));
  png_write_end(png, info);
  return true;
}

}  // namespace

std::string encode_png(const Image& image) {
  PngWriting state;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, ignore_warning);
  if (png == nullptr) throw std::bad_alloc();
  png_infop info = png_create_info_struct(png);
  const bool written = info != nullptr && write_png(png, info, image, state);
  png_destroy_write_struct(&png, &info);
  if (!written) throw std::bad_alloc();
  return std::move(state.out);
}

}  // namespace qing::nn
