#include <qing/nn/formats/safetensors_header.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstring>
#include <optional>
#include <tuple>

#include <qing/nn/formats/file_faults.h>
#include <qing/nn/formats/tensor_bytes.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

constexpr size_t kHeaderLengthBytes = 8;
constexpr size_t kMaxDims = 64;  // NumPy's own limit

// A dtype of the format. Dtypes without a DType are listed to distinguish a valid unsupported file from an invalid one.
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

const Format* format_of_name(std::string_view name) {
  for (const Format& format : kFormats) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

// What the header says of one tensor.
struct Entry {
  std::string name;
  const Format* format = nullptr;
  std::vector<uint64_t> shape;
  uint64_t begin = 0, end = 0;
};

// Every refusal names the path, and the tensor where there is one.
class HeaderReader {
 public:
  explicit HeaderReader(const std::shared_ptr<const MappedFile>& file)
      : file_(file), bytes_(file->bytes()), faults_(file->path(), "safetensors") {}

  FileContents read() {
    const json::object object = parse_header();
    FileContents contents;
    std::vector<Entry> entries;
    for (const auto& member : object) {
      const std::string_view name(member.key());
      if (name == kSafetensorsMetadata) {
        contents.metadata = read_metadata(member.value());
      } else {
        entries.push_back(read_entry(name, member.value()));
      }
    }
    check_layout(entries);
    for (const Entry& entry : entries) check_supported(entry);
    for (Entry& entry : entries) {
      contents.sources.push_back({.info = {.name = std::move(entry.name),
                                           .format = std::string(entry.format->name),
                                           .dtype = *entry.format->dtype,
                                           .shape = Shape(entry.shape.begin(), entry.shape.end())},
                                  .file = file_,
                                  .offset = bytes_.size() - data_size_ + entry.begin});
    }
    return contents;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { faults_.invalid(what); }
  [[noreturn]] void fail(std::string_view tensor, std::string_view what) const {
    fail(fmt::format("tensor '{}': {}", printable(tensor), what));
  }
  [[noreturn]] void fail_unsupported(std::string_view tensor, std::string_view what) const {
    faults_.unsupported(fmt::format("tensor '{}' {}", printable(tensor), what));
  }

  json::object parse_header() {
    if (bytes_.size() < kHeaderLengthBytes) {
      fail(fmt::format("{} bytes, shorter than the 8 bytes of the header's length", bytes_.size()));
    }
    uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), kHeaderLengthBytes);
    if (length > kMaxSafetensorsHeader) {
      fail(
          fmt::format("the header says it is {} bytes long, more than the limit of {}", length, kMaxSafetensorsHeader));
    }
    const size_t rest = bytes_.size() - kHeaderLengthBytes;
    if (length > rest) fail(fmt::format("the header says it is {} bytes long, but {} follow", length, rest));
    data_size_ = rest - length;
    const std::string_view text = bytes_.substr(kHeaderLengthBytes, length);
    const size_t start = text.find_first_not_of(" \t\n\r");
    if (start == text.npos || text[start] != '{') fail("the header does not begin with '{'");
    // json::object keeps only one of two equal names, so it would be unclear which tensor is meant.
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
      fail(entry.name, fmt::format("its {} bits of {} are not a whole number of bytes", bits, entry.format->name));
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

  // Tensors must tile the data without overlaps, and without gaps that could hide other data.
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
      fail_unsupported(entry.name,
                       fmt::format("has {} dimensions; at most {} are allowed", entry.shape.size(), kMaxDims));
    }
    // Strides must fit into 64 bits even if a size of 0 leaves no element.
    int64_t product = 1;
    for (const uint64_t size : entry.shape) {
      if (size > 0 && __builtin_mul_overflow(product, size, &product)) {
        fail_unsupported(entry.name, "has a size of 0 and others whose product overflows 64 bits");
      }
    }
  }

  const std::shared_ptr<const MappedFile>& file_;
  const std::string_view bytes_;
  const FileFaults faults_;
  uint64_t data_size_ = 0;
};

}  // namespace

std::string_view safetensors_name(DType dtype) {
  for (const Format& format : kFormats) {
    if (format.dtype == dtype) return format.name;
  }
  throw DTypeError("save_safetensors: a dtype the format has no name for");
}

FileContents read_safetensors(const std::shared_ptr<const MappedFile>& file) { return HeaderReader(file).read(); }

}  // namespace qing::nn
