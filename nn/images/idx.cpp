#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include <qing/nn/data/blanks.h>
#include <qing/nn/images/idx_detail.h>
#include <qing/nn/images/image_data.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/npy.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = uint64_t{1} << 33;

struct CloseGz {
  void operator()(gzFile file) const { gzclose(file); }
};

class IdxFile {
 public:
  explicit IdxFile(const fs::path& path) : path_(path) {
    if (fs::is_directory(path)) throw IoError(path.string() + ": is a folder");
    errno = 0;
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) throw IoError(fmt::format("{}: {}", path.string(), errno != 0 ? std::strerror(errno) : "no memory"));
    gzbuffer(file_.get(), 1 << 17);
  }

  [[noreturn]] void fail(const std::string& what) const { throw DataError(path_.string() + ": " + what); }

  void read(uint8_t* out, uint64_t count) {
    while (count > 0) {
      const auto piece = static_cast<unsigned>(std::min<uint64_t>(count, 1U << 30));
      const int got = gzread(file_.get(), out, piece);
      if (got < 0) fail("the gzip data are damaged");
      if (got == 0) fail(fmt::format("the file ends {} bytes early", count));
      out += got;
      count -= static_cast<uint64_t>(got);
    }
  }
  uint32_t number() {
    uint8_t bytes[4];
    read(bytes, 4);
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
  }
  // The end also compares the checksum of a compressed file.
  void finish() {
    uint8_t more;
    const int got = gzread(file_.get(), &more, 1);
    if (got > 0) fail("data follow the last element");
    int error = Z_OK;
    gzerror(file_.get(), &error);
    if (got < 0 || (error != Z_OK && error != Z_STREAM_END)) fail("the gzip data are damaged");
  }

 private:
  fs::path path_;
  std::unique_ptr<std::remove_pointer_t<gzFile>, CloseGz> file_;
};

// `name` with its last `from` replaced, or nothing if it has none.
std::string last_replaced(const std::string& name, const std::string& from, const std::string& to) {
  const size_t at = name.rfind(from);
  return at == std::string::npos ? std::string() : name.substr(0, at) + to + name.substr(at + from.size());
}

Tensor bytes_of_numbers(const fs::path& path, const Tensor& values) {
  if (values.dtype() == DType::u8) return values.contiguous();
  if (values.dtype() != DType::f32) { throw DataError(path.string() + ": images are u8, or f32 in [0, 1]"); }
  const Tensor dense = values.contiguous();
  Tensor bytes = Tensor::empty(values.shape(), DType::u8);
  for (int64_t i = 0; i < dense.numel(); ++i) {
    const float value = dense.data<float>()[i];
    if (!(value >= 0 && value <= 1)) {
      throw DataError(fmt::format("{}: element {} is {}; images of f32 are in [0, 1]", path.string(), i, value));
    }
    bytes.data<uint8_t>()[i] = static_cast<uint8_t>(std::lround(value * 255.0F));
  }
  return bytes;
}

}  // namespace

bool is_idx(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::string_view bare = name.ends_with(".gz") ? std::string_view(name).substr(0, name.size() - 3) : name;
  return bare.ends_with("-idx3-ubyte") || bare.ends_with("-idx1-ubyte") || bare.ends_with(".idx3-ubyte") ||
         bare.ends_with(".idx1-ubyte");
}

Tensor read_idx(const fs::path& path) {
  IdxFile file(path);
  const uint32_t magic = file.number();
  const uint32_t type = magic >> 8 & 0xFF, rank = magic & 0xFF;
  if (magic >> 16 != 0 || rank < 1 || rank > 4) file.fail("no IDX file: its first four bytes are wrong");
  if (type != 8) file.fail(fmt::format("elements of type {:#04x}; only unsigned bytes (0x08) are read", type));
  Shape shape;
  uint64_t size = 1;
  for (uint32_t d = 0; d < rank; ++d) {
    shape.push_back(file.number());
    const auto side = static_cast<uint64_t>(shape.back());
    if (side != 0 && size > kMostBytes / side) file.fail("it says that it has more than 2^33 bytes");
    size *= side;
  }
  // An untrusted header takes memory only as data follow.
  std::vector<uint8_t> data;
  for (uint64_t at = 0; at < size;) {
    const uint64_t piece = std::min<uint64_t>(size - at, std::max<uint64_t>(at, 1 << 20));
    data.resize(at + piece);
    file.read(data.data() + at, piece);
    at += piece;
  }
  file.finish();
  Tensor result = Tensor::empty(shape, DType::u8);
  if (size > 0) std::memcpy(result.data<uint8_t>(), data.data(), size);
  return result;
}

fs::path labels_beside(const fs::path& images) {
  const std::string name = images.filename().string();
  std::string labels;
  if (is_idx(images)) {
    labels = last_replaced(last_replaced(name, "images", "labels"), "idx3", "idx1");
  } else {
    labels = last_replaced(name, "images", "labels");
  }
  if (labels.empty()) {
    throw DataError(images.string() +
                    ": the name says no file of labels; name the files NAME-images... and NAME-labels...");
  }
  return images.parent_path() / labels;
}

std::vector<int64_t> read_label_numbers(const fs::path& path) {
  const Tensor values = is_idx(path) ? read_idx(path) : load_npy(path);
  // numpy.save keeps the dtype that an array of few classes may have, which is int8 as well as uint8.
  const bool whole = values.dtype() == DType::u8 || values.dtype() == DType::i8 || values.dtype() == DType::i32 ||
                     values.dtype() == DType::i64;
  if (values.dim() != 1 || !whole) {
    throw DataError(fmt::format("{}: {} of shape {}; labels are [images], of int8, uint8, int32 or int64",
                                path.string(), name_of(values.dtype()), to_string(values.shape())));
  }
  const Tensor wide = values.to(DType::i64).contiguous();
  return {wide.data<int64_t>(), wide.data<int64_t>() + wide.numel()};
}

bool is_image_array(const fs::path& path) {
  const std::string extension = lowered(path.extension().string());
  return extension == ".npy" || is_idx(path);
}

Tensor read_image_array(const fs::path& path) {
  Tensor images = is_idx(path) ? read_idx(path) : bytes_of_numbers(path, load_npy(path));
  if (images.dim() == 3) images = images.unsqueeze(3);
  const bool fits = images.dim() == 4 && (images.size(3) == 1 || images.size(3) == 3);
  if (!fits || images.size(1) == 0 || images.size(2) == 0) {
    throw DataError(fmt::format("{}: shape {}; images are [images, height, width], or [images, height, width, 1 or 3]",
                                path.string(), to_string(images.shape())));
  }
  return images;
}

}  // namespace qing::nn
