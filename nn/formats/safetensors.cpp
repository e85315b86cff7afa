#include <qing/nn/formats/safetensors.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <boost/json.hpp>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include <qing/nn/unique_keys.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

// The data section is copied as it lies, which is right only where memory is little-endian too.
static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace json = boost::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxDims = 64;  // NumPy's own limit
constexpr std::string_view kMetadataKey = "__metadata__";

// A dtype of the format. Those without a DType are known so that a valid file with one is told from an invalid file.
struct Format {
  std::string_view name;
  uint64_t bits;
  std::optional<DType> dtype;
};
// The enum Dtype of https://github.com/huggingface/safetensors, version 0.8.0.
constexpr std::array<Format, 22> kFormats = {{{"BOOL", 8, DType::boolean},
                                              {"F4", 4, std::nullopt},
                                              {"F6_E2M3", 6, std::nullopt},
                                              {"F6_E3M2", 6, std::nullopt},
                                              {"U8", 8, DType::u8},
                                              {"I8", 8, DType::i8},
                                              {"F8_E5M2", 8, std::nullopt},
                                              {"F8_E4M3", 8, std::nullopt},
                                              {"F8_E8M0", 8, std::nullopt},
                                              {"F8_E4M3FNUZ", 8, std::nullopt},
                                              {"F8_E5M2FNUZ", 8, std::nullopt},
                                              {"I16", 16, std::nullopt},
                                              {"U16", 16, std::nullopt},
                                              {"F16", 16, DType::f16},
                                              {"BF16", 16, DType::bf16},
                                              {"I32", 32, DType::i32},
                                              {"U32", 32, std::nullopt},
                                              {"F32", 32, DType::f32},
                                              {"C64", 64, std::nullopt},
                                              {"F64", 64, DType::f64},
                                              {"I64", 64, DType::i64},
                                              {"U64", 64, std::nullopt}}};

std::string_view format_name(DType dtype) {
  for (const Format& format : kFormats) {
    if (format.dtype == dtype) return format.name;
  }
  throw DTypeError("save_safetensors: a dtype the format has no name for");
}

const Format* format_of_name(std::string_view name) {
  for (const Format& format : kFormats) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

// The elements as they lie in memory, whatever their dtype.
std::span<char> bytes_of(const Tensor& tensor) {
  return dispatch_all(tensor.dtype(), [&](auto zero) -> std::span<char> {
    const auto values = tensor.span<decltype(zero)>();
    return {reinterpret_cast<char*>(values.data()), values.size_bytes()};
  });
}

// What the header says of one tensor.
struct Entry {
  std::string name;
  const Format* format = nullptr;
  std::vector<uint64_t> shape;
  uint64_t begin = 0, end = 0;
};

// Reads one file; every refusal names the path, and the tensor where there is one.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path.string()), file_(path) {}

  SafetensorsFile read() {
    const json::object header = parse_header();
    SafetensorsFile file;
    std::vector<Entry> entries;
    for (const auto& member : header) {
      const std::string_view name(member.key());
      if (name == kMetadataKey) {
        file.metadata = read_metadata(member.value());
      } else {
        entries.push_back(read_entry(name, member.value()));
      }
    }
    check_layout(entries);
    for (const Entry& entry : entries) check_supported(entry);
    // The tensors tile the data and are sorted by their place: the file is read from front to back.
    for (const Entry& entry : entries) file.tensors.emplace(entry.name, read_tensor(entry));
    return file;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw DataError(fmt::format("{}: not a valid safetensors file: {}; write or download it again", path_, what));
  }
  [[noreturn]] void fail(std::string_view tensor, std::string_view what) const {
    fail(fmt::format("tensor '{}': {}", printable(tensor), what));
  }
  [[noreturn]] void fail_unsupported(std::string_view tensor, std::string_view what) const {
    throw DataError(fmt::format("{}: unsupported: tensor '{}' {}", path_, printable(tensor), what));
  }

  // A hostile name may be megabytes long or hold control characters.
  static std::string printable(std::string_view name) {
    std::string shown(name.substr(0, 80));
    for (char& c : shown) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return shown;
  }

  json::object parse_header() {
    if (file_.size() < kLengthBytes) {
      fail(fmt::format("{} bytes, shorter than the 8 bytes of the header's length", file_.size()));
    }
    uint64_t length = 0;
    file_.read_exactly({reinterpret_cast<char*>(&length), kLengthBytes});
    if (length > kMaxHeaderBytes) {
      fail(fmt::format("the header says it is {} bytes long, more than the limit of {}", length, kMaxHeaderBytes));
    }
    const size_t rest = file_.size() - kLengthBytes;
    if (length > rest) fail(fmt::format("the header says it is {} bytes long, but {} follow", length, rest));
    data_size_ = rest - length;
    std::string text(length, '\0');
    file_.read_exactly(text);
    const size_t start = text.find_first_not_of(" \t\n\r");
    if (start == text.npos || text[start] != '{') fail("the header does not begin with '{'");
    // json::object keeps one of two equal names; which tensor is meant would be a guess.
    if (const auto twice = duplicate_key(text)) fail(*twice, "the name appears twice in one object");
    boost::system::error_code error;
    const json::value value = json::parse(text, error);
    if (error) fail("the header is not JSON: " + error.message());
    return value.as_object();
  }

  std::map<std::string, std::string> read_metadata(const json::value& value) const {
    std::map<std::string, std::string> metadata;
    if (value.is_null()) return metadata;
    if (!value.is_object()) fail("__metadata__ is not an object of strings");
    for (const auto& member : value.get_object()) {
      if (!member.value().is_string()) fail("__metadata__ is not an object of strings");
      metadata.emplace(member.key(), std::string_view(member.value().get_string()));
    }
    return metadata;
  }

  uint64_t read_size(std::string_view name, std::string_view field, const json::value& value) const {
    if (value.is_uint64()) return value.get_uint64();
    if (value.is_int64() && value.get_int64() >= 0) return static_cast<uint64_t>(value.get_int64());
    fail(name, fmt::format("{} holds a value that is not a non-negative integer", field));
  }

  Entry read_entry(std::string_view name, const json::value& value) const {
    if (!value.is_object()) fail(name, "its description is not an object");
    const json::object& object = value.get_object();
    const json::value* dtype = object.if_contains("dtype");
    const json::value* shape = object.if_contains("shape");
    const json::value* offsets = object.if_contains("data_offsets");
    if (dtype == nullptr || !dtype->is_string()) fail(name, "dtype is missing or not a string");
    if (shape == nullptr || !shape->is_array()) fail(name, "shape is missing or not an array");
    if (offsets == nullptr || !offsets->is_array() || offsets->get_array().size() != 2) {
      fail(name, "data_offsets is missing or not an array of two");
    }
    Entry entry;
    entry.name = name;
    const std::string_view dtype_text(dtype->get_string());
    entry.format = format_of_name(dtype_text);
    if (entry.format == nullptr) fail(name, fmt::format("unknown dtype '{}'", printable(dtype_text.substr(0, 16))));
    entry.begin = read_size(name, "data_offsets", offsets->get_array()[0]);
    entry.end = read_size(name, "data_offsets", offsets->get_array()[1]);
    for (const json::value& size : shape->get_array()) entry.shape.push_back(read_size(name, "shape", size));
    check_bounds(entry, bytes_needed(entry));
    return entry;
  }

  uint64_t bytes_needed(const Entry& entry) const {
    uint64_t bits = 1;
    const auto times = [&](uint64_t factor) {
      if (__builtin_mul_overflow(bits, factor, &bits)) fail(entry.name, "its shape overflows 64 bits");
    };
    for (const uint64_t size : entry.shape) times(size);
    times(entry.format->bits);
    if (bits % 8 != 0) {
      fail(entry.name, fmt::format("its {} bits of {} are no whole number of bytes", bits, entry.format->name));
    }
    return bits / 8;
  }

  void check_bounds(const Entry& entry, uint64_t bytes) const {
    if (entry.begin > entry.end) {
      fail(entry.name, fmt::format("data_offsets [{}, {}] end before they begin", entry.begin, entry.end));
    }
    if (entry.end > data_size_) {
      fail(entry.name, fmt::format("data_offsets [{}, {}] reach beyond the {} bytes of data (is the file truncated?)",
                                   entry.begin, entry.end, data_size_));
    }
    if (entry.end - entry.begin != bytes) {
      fail(entry.name, fmt::format("data_offsets [{}, {}] are {} bytes, but its shape and dtype need {}", entry.begin,
                                   entry.end, entry.end - entry.begin, bytes));
    }
  }

  // Tensors must tile the data: neither an overlap nor a hole, in which something could hide.
  void check_layout(std::vector<Entry>& entries) const {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    uint64_t reached = 0;
    for (const Entry& entry : entries) {
      if (entry.begin < reached) {
        fail(entry.name,
             fmt::format("its data begin at {} and overlap those before it, which end at {}", entry.begin, reached));
      }
      if (entry.begin > reached) {
        fail(entry.name, fmt::format("its data begin at {} and leave a hole after {}", entry.begin, reached));
      }
      reached = entry.end;
    }
    if (reached != data_size_) {
      fail(fmt::format("{} bytes of data, but the tensors end at {}", data_size_, reached));
    }
  }

  void check_supported(const Entry& entry) const {
    if (!entry.format->dtype) {
      fail_unsupported(entry.name,
                       fmt::format("has the dtype {}, which qing does not support; convert it to F64, F32, F16, BF16, "
                                   "I64, I32, I8, U8 or BOOL",
                                   entry.format->name));
    }
    if (entry.shape.size() > kMaxDims) {
      fail_unsupported(entry.name, fmt::format("has {} dimensions; {} are the most", entry.shape.size(), kMaxDims));
    }
    // Strides are 64-bit numbers even where a size of 0 leaves no element.
    int64_t product = 1;
    for (const uint64_t size : entry.shape) {
      if (size > 0 && __builtin_mul_overflow(product, size, &product)) {
        fail_unsupported(entry.name, "has a size of 0 and others whose product overflows 64 bits");
      }
    }
  }

  Tensor read_tensor(const Entry& entry) {
    Tensor tensor = Tensor::empty(Shape(entry.shape.begin(), entry.shape.end()), *entry.format->dtype);
    const std::span<char> bytes = bytes_of(tensor);
    file_.read_exactly(bytes);
    // A C++ bool that is neither 0 nor 1 must not exist.
    if (tensor.dtype() == DType::boolean) {
      for (char& byte : bytes) byte = static_cast<char>(byte != 0);
    }
    return tensor;
  }

  const std::string path_;
  FileReader file_;
  uint64_t data_size_ = 0;
};

}  // namespace

SafetensorsFile load_safetensors(const std::filesystem::path& path) { return Reader(path).read(); }

void save_safetensors(const std::filesystem::path& path, const SafetensorsFile& file) {
  json::object header;
  json::object metadata{{"format", "pt"}};  // transformers refuses a file that does not say its format
  for (const auto& [key, value] : file.metadata) metadata[key] = value;
  header[kMetadataKey] = std::move(metadata);

  // Wider elements first, as the reference implementation does: every tensor is then aligned to its element.
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    if (name == kMetadataKey) throw ValueError("save_safetensors: a tensor cannot be named __metadata__; rename it");
    if (!tensor.defined()) throw ValueError("save_safetensors: tensor '" + name + "' is undefined; give it a value");
    tensors.emplace_back(name, tensor.contiguous());
  }
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const auto& a, const auto& b) { return size_of(a.second.dtype()) > size_of(b.second.dtype()); });

  std::vector<std::string_view> parts(1);  // the first is the length and header, known last
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::span<char> bytes = bytes_of(tensor);
    header[name] = {{"dtype", format_name(tensor.dtype())},
                    {"shape", json::array(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {offset, offset + bytes.size()}}};
    if (!bytes.empty()) parts.emplace_back(bytes.data(), bytes.size());
    offset += bytes.size();
  }
  std::string text = json::serialize(header);
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const uint64_t length = text.size();
  if (length > kMaxHeaderBytes) {
    throw ValueError(
        fmt::format("save_safetensors: {}: the header takes {} bytes, more than the limit of {}; save "
                    "fewer tensors a file",
                    path.string(), length, kMaxHeaderBytes));
  }
  std::string head(kLengthBytes, '\0');
  std::memcpy(head.data(), &length, kLengthBytes);
  head += text;
  parts[0] = head;
  write_file_atomically(path, parts);
}

}  // namespace qing::nn
