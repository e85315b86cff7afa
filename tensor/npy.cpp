#include <qing/tensor/npy.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/files.h>

namespace qing {
namespace {

static_assert(std::endian::native == std::endian::little, "the data is read and written as it lies in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = size_t{1} << 20;
constexpr size_t kMaxDims = 64;  // NumPy's own limit
constexpr size_t kAlignment = 64;

constexpr std::pair<DType, std::string_view> kDescriptors[] = {
    {DType::f32, "<f4"}, {DType::f64, "<f8"},     {DType::i32, "<i4"}, {DType::i64, "<i8"},
    {DType::u8, "|u1"},  {DType::boolean, "|b1"}, {DType::f16, "<f2"}, {DType::i8, "|i1"}};

struct Header {
  std::optional<std::string> descriptor;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

// The header is a Python dictionary of three known keys; nothing else of Python is understood.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::filesystem::path& path) : text_(text), path_(path) {}

  Header parse() {
    Header header;
    expect('{');
    while (!accept('}')) {
      entry(header);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (!text_.empty()) fail("something follows the dictionary");
    if (!header.descriptor || !header.fortran_order || !header.shape) fail("descr, fortran_order or shape is missing");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(path_.string() + ": the .npy header is malformed: " + what);
  }

  void entry(Header& header) {
    const std::string key = quoted();
    expect(':');
    if (key == "descr" && !header.descriptor) {
      header.descriptor = quoted();
    } else if (key == "fortran_order" && !header.fortran_order) {
      header.fortran_order = boolean();
    } else if (key == "shape" && !header.shape) {
      header.shape = tuple();
    } else {
      fail("the key '" + key + "' is unknown or stands twice");
    }
  }

  void skip_spaces() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\n\r"), text_.size())); }

  bool accept(char c) {
    skip_spaces();
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' was expected before '{}'", c, text_.substr(0, 20)));
  }

  std::string quoted() {
    skip_spaces();
    const char quote = text_.empty() ? '\0' : text_.front();
    if (quote != '\'' && quote != '"') fail("a quoted name was expected; records have no tensor");
    const size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) fail("a quote is not closed");
    const std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }

  bool boolean() {
    skip_spaces();
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {std::string_view("False"), false}}) {
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return value;
    }
    fail("fortran_order is neither True nor False");
  }

  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      skip_spaces();
      int64_t size = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) fail("a size in the shape is no number from 0 to 2^63");
      text_.remove_prefix(static_cast<size_t>(end - text_.data()));
      shape.push_back(size);
      if (shape.size() > kMaxDims) fail(fmt::format("there are more than {} dimensions", kMaxDims));
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view text_;
  const std::filesystem::path& path_;
};

DType dtype_named(const std::string& descriptor, const std::filesystem::path& path) {
  for (const auto& [dtype, name] : kDescriptors) {
    if (name == descriptor || (descriptor.substr(0, 1) == "=" && name.substr(1) == descriptor.substr(1))) return dtype;
  }
  if (descriptor.starts_with('>')) {
    throw DataError(path.string() + ": dtype " + descriptor +
                    " is big-endian; save array.astype(array.dtype.newbyteorder('<'))");
  }
  throw DataError(path.string() + ": dtype " + descriptor +
                  " has no counterpart; convert the array to float16, "
                  "float32, float64, int32, int64, int8, uint8 or bool");
}

// Splits off the header's text; `file` is left with the data.
std::string_view take_header(std::string_view& file, const std::filesystem::path& path) {
  if (!file.starts_with(kMagic) || file.size() < kMagic.size() + 4) {
    throw DataError(path.string() + ": no .npy file; it does not begin with \\x93NUMPY and a version");
  }
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(file[i])); };
  const size_t major = byte(6);
  if (major < 1 || major > 3) {
    throw DataError(fmt::format("{}: version {}.{} of .npy; 1 to 3 are known", path.string(), major, byte(7)));
  }
  const size_t begin = major == 1 ? 10 : 12;
  if (file.size() < begin) throw DataError(path.string() + ": truncated within the .npy header's length");
  const size_t length = byte(8) | byte(9) << 8 | (major == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > kMaxHeader) {
    throw DataError(fmt::format("{}: an .npy header of {} bytes; {} are the most", path.string(), length, kMaxHeader));
  }
  if (file.size() - begin < length) throw DataError(path.string() + ": truncated within the .npy header");
  const std::string_view header = file.substr(begin, length);
  file.remove_prefix(begin + length);
  return header;
}

void check_size(const Shape& shape, DType dtype, size_t held, const std::filesystem::path& path) {
  // As NumPy counts: a size of 0 makes it no elements, whatever the others are.
  const bool none = std::find(shape.begin(), shape.end(), 0) != shape.end();
  size_t bytes = none ? 0 : size_of(dtype);
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(size), &bytes)) {
      throw DataError(path.string() + ": shape " + to_string(shape) + " has more bytes than 64 bits count");
    }
  }
  if (bytes != held) {
    throw DataError(
        fmt::format("{}: {} bytes of data where shape {} of {} needs {}; the file is truncated or has more "
                    "than one array",
                    path.string(), held, to_string(shape), name_of(dtype), bytes));
  }
}

}  // namespace

Tensor load_npy(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  std::string_view data = content;
  const Header header = HeaderParser(take_header(data, path), path).parse();
  const DType dtype = dtype_named(*header.descriptor, path);
  Shape shape = *header.shape;
  check_size(shape, dtype, data.size(), path);
  if (*header.fortran_order) std::reverse(shape.begin(), shape.end());
  // Any byte but 0 is true in NumPy, so bools come in as bytes.
  Tensor tensor = Tensor::empty(shape, dtype == DType::boolean ? DType::u8 : dtype);
  dispatch_all(tensor.dtype(), [&](auto zero) {
    if (!data.empty()) std::memcpy(tensor.data<decltype(zero)>(), data.data(), data.size());
  });
  if (*header.fortran_order) {
    std::vector<int64_t> order(shape.size());
    for (size_t d = 0; d < order.size(); ++d) order[d] = static_cast<int64_t>(order.size() - 1 - d);
    tensor = tensor.permute(order).contiguous();
  }
  return tensor.to(dtype);
}

void save_npy(const std::filesystem::path& path, const Tensor& tensor) {
  const auto* const known = std::find_if(std::begin(kDescriptors), std::end(kDescriptors),
                                         [&](const auto& entry) { return entry.first == tensor.dtype(); });
  if (known == std::end(kDescriptors)) {
    throw DTypeError(std::string("save_npy: .npy has no ") + name_of(tensor.dtype()) + "; use Tensor::to(DType::f32)");
  }
  if (tensor.dim() > static_cast<int64_t>(kMaxDims)) {
    throw ShapeError(fmt::format("save_npy: {} dimensions; NumPy reads at most {}", tensor.dim(), kMaxDims));
  }
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", known->second,
                                   fmt::join(tensor.shape(), ", "), tensor.dim() == 1 ? "," : "");
  const size_t prefix = kMagic.size() + 4;
  header.append(kAlignment - 1 - (prefix + header.size()) % kAlignment, ' ');
  header += '\n';
  std::string start(kMagic);
  start += {1, 0, static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  const Tensor dense = tensor.contiguous();
  dispatch_all(dense.dtype(), [&](auto zero) {
    const auto values = dense.span<decltype(zero)>();
    const std::string_view bytes(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    write_file_atomically(path, std::array<std::string_view, 3>{start, header, bytes});
  });
}

}  // namespace qing
