// libjpeg reports errors by a jump; see png.cpp.
#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jerror.h>
#include <jpeglib.h>

#include <fmt/format.h>

#include <csetjmp>
#include <cstring>
#include <utility>
#include <vector>

#include <qing/nn/images/codecs_detail.h>

namespace qing::nn {
namespace {

// A progressive picture costs a pass over all of it for each scan, and a file of a few bytes may have many.
constexpr int kMostScans = 100;

struct JpegReading {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  Image image;
  std::vector<uint8_t> line;  // a row in the colours of the file
  bool created = false;
  int orientation = 1;
  char message[JMSG_LENGTH_MAX] = {};

  JpegReading() = default;
  ~JpegReading() {
    if (created) jpeg_destroy_decompress(&info);
  }
  JpegReading(const JpegReading&) = delete;
  JpegReading& operator=(const JpegReading&) = delete;
};

JpegReading& state_of(j_common_ptr info) { return *static_cast<JpegReading*>(info->client_data); }

[[noreturn]] void fail_jpeg(j_common_ptr info) {
  JpegReading& state = state_of(info);
  info->err->format_message(info, state.message);
  std::longjmp(state.jump, 1);  // NOLINT(cert-err52-cpp)
}

// Warnings after which pixels are missing are errors.
void judge_warning(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION: fail_jpeg(info);
    default: ++info->err->num_warnings;
  }
}

void count_scans(j_common_ptr info) {
  if (info->is_decompressor == 0) return;
  JpegReading& state = state_of(info);
  if (state.info.input_scan_number > kMostScans) {
    std::snprintf(state.message, sizeof state.message, "more than %d scans", kMostScans);
    std::longjmp(state.jump, 1);  // NOLINT(cert-err52-cpp)
  }
}

void print_nothing(j_common_ptr) {}

void note_orientation(JpegReading& state) {
  constexpr size_t kPrefix = 6;  // "Exif" and two zeros
  for (jpeg_saved_marker_ptr marker = state.info.marker_list; marker != nullptr; marker = marker->next) {
    if (marker->marker == JPEG_APP0 + 1 && marker->data_length > kPrefix &&
        std::memcmp(marker->data, "Exif\0\0", kPrefix) == 0) {
      state.orientation = exif_orientation(marker->data + kPrefix, marker->data_length - kPrefix);
      return;
    }
  }
}

// False after an error.
bool read_header(JpegReading& state, std::string_view bytes) {
  if (setjmp(state.jump) != 0) return false;  // NOLINT(cert-err52-cpp)
  jpeg_create_decompress(&state.info);
  state.created = true;
  state.info.client_data = &state;
  state.info.progress = &state.progress;
  jpeg_mem_src(&state.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&state.info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&state.info, TRUE);
  note_orientation(state);
  switch (state.info.jpeg_color_space) {
    case JCS_GRAYSCALE: state.info.out_color_space = JCS_GRAYSCALE; break;
    case JCS_CMYK:
    case JCS_YCCK: state.info.out_color_space = JCS_CMYK; break;
    default: state.info.out_color_space = JCS_RGB;
  }
  return true;
}

// Ink that absorbs, as Pillow converts it. With Adobe's marker 255 means no ink.
void from_cmyk(const uint8_t* cmyk, bool inverted, int64_t pixels, uint8_t* rgb) {
  for (int64_t i = 0; i < pixels; ++i, cmyk += 4, rgb += 3) {
    const uint32_t black = inverted ? 255U - cmyk[3] : cmyk[3], light = 255 - black;
    for (int c = 0; c < 3; ++c) {
      const uint32_t ink = inverted ? 255U - cmyk[c] : cmyk[c];
      rgb[c] = static_cast<uint8_t>(light - multiplied(ink, light));
    }
  }
}

// False after an error.
bool read_lines(JpegReading& state) {
  if (setjmp(state.jump) != 0) return false;  // NOLINT(cert-err52-cpp)
  jpeg_start_decompress(&state.info);
  const bool cmyk = state.info.out_color_space == JCS_CMYK;
  if (state.info.output_components != (cmyk ? 4 : state.image.channels) ||
      static_cast<int64_t>(state.info.output_width) != state.image.width ||
      static_cast<int64_t>(state.info.output_height) != state.image.height) {
    ERREXIT(&state.info, JERR_CONVERSION_NOTIMPL);
  }
  while (state.info.output_scanline < state.info.output_height) {
    const auto y = static_cast<int64_t>(state.info.output_scanline);
    JSAMPROW row = cmyk ? state.line.data() : state.image.row(y);
    jpeg_read_scanlines(&state.info, &row, 1);
    if (cmyk) { from_cmyk(state.line.data(), state.info.saw_Adobe_marker != 0, state.image.width, state.image.row(y)); }
  }
  jpeg_finish_decompress(&state.info);
  return true;
}

[[noreturn]] void refuse_jpeg(const JpegReading& state) {
  throw ImageError(fmt::format("the JPEG is damaged: {}", state.message));
}

}  // namespace

DecodedImage decode_jpeg(std::string_view bytes, const DecodeOptions& options) {
  JpegReading state;
  state.info.err = jpeg_std_error(&state.errors);
  state.info.client_data = &state;
  state.errors.error_exit = fail_jpeg;
  state.errors.emit_message = judge_warning;
  state.errors.output_message = print_nothing;
  state.progress.progress_monitor = count_scans;
  if (!read_header(state, bytes)) refuse_jpeg(state);
  check_picture_size("JPEG", state.info.image_width, state.info.image_height, options.limits);
  const bool gray = state.info.out_color_space == JCS_GRAYSCALE;
  state.image = make_image(state.info.image_height, state.info.image_width, gray ? 1 : 3);
  if (state.info.out_color_space == JCS_CMYK) state.line.resize(size_t{4} * state.info.image_width);
  if (!read_lines(state)) refuse_jpeg(state);
  return {std::move(state.image), state.orientation};
}

}  // namespace qing::nn
