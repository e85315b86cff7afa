#include <qing/tensor/npy.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/files.h>

namespace qing {
namespace {

static_assert(std::endian::native == std::endian::little, "the data is read and written as it lies in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kPrefix = 8;          // the magic string and two bytes of version
constexpr size_t kMaxHeader = 10'000;  // NumPy's own limit
constexpr size_t kMaxDims = 64;        // NumPy's own limit
constexpr size_t kNpyAlignment = 64;

// A dtype's spellings. save_npy writes `written`, whose first character is the byte order. NumPy also accepts `codes`,
// each with or without a byte order, and `names`.
struct NpyDtype {
  DType dtype;
  std::string_view written;
  std::array<std::string_view, 3> codes;
  std::array<std::string_view, 4> names;
};
constexpr NpyDtype kDescriptors[] = {{DType::f32, "<f4", {"f4", "f"}, {"float32", "single"}},
                                     {DType::f64, "<f8", {"f8", "d"}, {"float64", "double", "float"}},
                                     {DType::i32, "<i4", {"i4", "i"}, {"int32", "intc"}},
                                     {DType::i64, "<i8", {"i8", "l", "q"}, {"int64", "int", "long", "longlong"}},
                                     {DType::u8, "|u1", {"u1", "B"}, {"uint8", "ubyte"}},
                                     {DType::boolean, "|b1", {"b1", "?"}, {"bool", "bool_"}},
                                     {DType::f16, "<f2", {"f2", "e"}, {"float16", "half"}},
                                     {DType::i8, "|i1", {"i1", "b"}, {"int8", "byte"}}};

struct Header {
  std::optional<std::string> descriptor;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

// The header is a Python dictionary with three known keys; no other Python is understood. Python 2 wrote sizes with an
// L at the end, which NumPy reads in versions 1.0 and 2.0.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, size_t major, const std::filesystem::path& path)
      : text_(text), python2_(major < 3), path_(path) {}

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
      fail("the key '" + key + "' is unknown or appears twice");
    }
  }

  void skip_spaces() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\n\r\f"), text_.size())); }

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
    std::string value(text_.substr(1, end - 1));
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

  // (), (2,), (2, 3) or (2, 3,). In Python, a single size without a comma is a number, not a tuple.
  Shape tuple() {
    Shape shape;
    bool comma = false;
    expect('(');
    while (!accept(')')) {
      shape.push_back(size());
      if (shape.size() > kMaxDims) fail(fmt::format("there are more than {} dimensions", kMaxDims));
      comma = accept(',');
      if (!comma) {
        expect(')');
        break;
      }
    }
    if (shape.size() == 1 && !comma) fail(fmt::format("the shape ({0}) is not a tuple; write ({0},)", shape.front()));
    return shape;
  }

  int64_t size() {
    skip_spaces();
    int64_t size = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
    if (error != std::errc() || size < 0) fail("a size in the shape is not a decimal number from 0 to 2^63");
    const auto digits = static_cast<size_t>(end - text_.data());
    if (size > 0 && text_.front() == '0') fail("a size in the shape begins with 0");
    text_.remove_prefix(digits);
    if (python2_ && text_.starts_with('L')) text_.remove_prefix(1);
    return size;
  }

  std::string_view text_;
  const bool python2_;
  const std::filesystem::path& path_;
};

struct Elements {
  DType dtype;
  bool big_endian;
};

Elements elements_named(std::string_view descriptor, const std::filesystem::path& path) {
  const auto has = [](const auto& spellings, std::string_view name) {
    return !name.empty() && std::find(spellings.begin(), spellings.end(), name) != spellings.end();
  };
  const bool ordered =
      !descriptor.empty() && std::string_view("<>=|").find(descriptor.front()) != std::string_view::npos;
  const std::string_view code = descriptor.substr(ordered ? 1 : 0);
  for (const NpyDtype& known : kDescriptors) {
    if (has(known.codes, code) || (!ordered && has(known.names, code))) {
      return {known.dtype, descriptor.front() == '>' && size_of(known.dtype) > 1};
    }
  }
  throw DataError(
      fmt::format("{}: dtype {} is not supported; convert the array to float16, float32, float64, int32, int64, "
                  "int8, uint8 or bool",
                  path.string(), descriptor.substr(0, 40)));
}

struct Start {
  std::string header;
  size_t major;
  size_t bytes;  // of the file before the data
};

Start read_start(FileReader& file, const std::filesystem::path& path) {
  std::array<char, kPrefix> prefix{};
  if (file.size() >= kPrefix) file.read_exactly(prefix);
  if (!std::string_view(prefix.data(), kPrefix).starts_with(kMagic)) {
    throw DataError(path.string() + ": not an .npy file; it does not begin with \\x93NUMPY and a version");
  }
  const auto major = static_cast<unsigned char>(prefix[6]), minor = static_cast<unsigned char>(prefix[7]);
  if (major < 1 || major > 3 || minor != 0) {
    throw DataError(fmt::format("{}: version {}.{} of .npy; 1.0, 2.0 and 3.0 are known", path.string(), major, minor));
  }
  std::array<unsigned char, 4> length_bytes{};
  const size_t width = major == 1 ? 2 : 4;
  const size_t begin = kPrefix + width;
  if (file.size() < begin) throw DataError(path.string() + ": truncated within the .npy header's length");
  file.read_exactly({reinterpret_cast<char*>(length_bytes.data()), width});
  size_t length = 0;
  for (size_t i = 0; i < width; ++i) length |= size_t{length_bytes[i]} << 8 * i;
  if (length > kMaxHeader) {
    throw DataError(
        fmt::format("{}: an .npy header of {} bytes; at most {} are allowed", path.string(), length, kMaxHeader));
  }
  if (file.size() - begin < length) throw DataError(path.string() + ": truncated within the .npy header");
  Start start{std::string(length, '\0'), major, begin + length};
  file.read_exactly(start.header);
  return start;
}

void check_size(const Shape& shape, DType dtype, size_t held, const std::filesystem::path& path) {
  // NumPy refuses sizes whose product overflows, even if a size of 0 leaves no elements.
  int64_t bytes = static_cast<int64_t>(size_of(dtype));
  for (const int64_t size : shape) {
    if (size > 0 && __builtin_mul_overflow(bytes, size, &bytes)) {
      throw DataError(path.string() + ": shape " + to_string(shape) + " has more bytes than 64 bits count");
    }
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) bytes = 0;
  if (static_cast<size_t>(bytes) != held) {
    throw DataError(
        fmt::format("{}: {} bytes of data where shape {} of {} needs {}; the file is truncated or has more "
                    "than one array",
                    path.string(), held, to_string(shape), name_of(dtype), bytes));
  }
}

}  // namespace

Tensor load_npy(const std::filesystem::path& path) {
  FileReader file(path);
  const Start start = read_start(file, path);
  const Header header = HeaderParser(start.header, start.major, path).parse();
  const auto [dtype, big_endian] = elements_named(*header.descriptor, path);
  Shape shape = *header.shape;
  check_size(shape, dtype, file.size() - start.bytes, path);
  if (*header.fortran_order) std::reverse(shape.begin(), shape.end());
  // In NumPy every byte but 0 is true, so bools are read as bytes.
  Tensor tensor = Tensor::empty(shape, dtype == DType::boolean ? DType::u8 : dtype);
  dispatch_all(tensor.dtype(), [&, swapped = big_endian](auto zero) {
    using T = decltype(zero);
    const std::span<T> values = tensor.span<T>();
    const std::span<char> bytes(reinterpret_cast<char*>(values.data()), values.size_bytes());
    file.read_exactly(bytes);
    if (!swapped) return;
    for (size_t at = 0; at < bytes.size(); at += sizeof(T)) std::reverse(&bytes[at], &bytes[at] + sizeof(T));
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
                                         [&](const NpyDtype& entry) { return entry.dtype == tensor.dtype(); });
  if (known == std::end(kDescriptors)) {
    throw DTypeError(std::string("save_npy: .npy has no ") + name_of(tensor.dtype()) + "; use Tensor::to(DType::f32)");
  }
  if (tensor.dim() > static_cast<int64_t>(kMaxDims)) {
    throw ShapeError(fmt::format("save_npy: {} dimensions; NumPy reads at most {}", tensor.dim(), kMaxDims));
  }
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", known->written,
                                   fmt::join(tensor.shape(), ", "), tensor.dim() == 1 ? "," : "");
  const size_t prefix = kPrefix + 2;
  header.append(kNpyAlignment - 1 - (prefix + header.size()) % kNpyAlignment, ' ');
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
