#include <qing/nn/safetensors.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <boost/json.hpp>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include <qing/nn/unique_keys.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

// The data section is copied as it lies, which is right only where memory is little-endian too.
static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace json = boost::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxDims = 16;
constexpr std::string_view kMetadataKey = "__metadata__";

struct DTypeName {
  DType dtype;
  std::string_view name;
};
constexpr std::array<DTypeName, 9> kDTypes = {{{DType::f32, "F32"},
                                               {DType::f64, "F64"},
                                               {DType::i32, "I32"},
                                               {DType::i64, "I64"},
                                               {DType::u8, "U8"},
                                               {DType::boolean, "BOOL"},
                                               {DType::f16, "F16"},
                                               {DType::bf16, "BF16"},
                                               {DType::i8, "I8"}}};

std::string_view dtype_name(DType dtype) {
  for (const auto& entry : kDTypes) {
    if (entry.dtype == dtype) return entry.name;
  }
  throw DTypeError("save_safetensors: a dtype the format has no name for");
}

std::optional<DType> dtype_of_name(std::string_view name) {
  for (const auto& entry : kDTypes) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

// Address of the first element whatever the dtype: Tensor::data<T>() checks T, bytes have none.
char* bytes_of(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32: return reinterpret_cast<char*>(tensor.data<float>());
    case DType::f64: return reinterpret_cast<char*>(tensor.data<double>());
    case DType::i32: return reinterpret_cast<char*>(tensor.data<int32_t>());
    case DType::i64: return reinterpret_cast<char*>(tensor.data<int64_t>());
    case DType::u8: return reinterpret_cast<char*>(tensor.data<uint8_t>());
    case DType::boolean: return reinterpret_cast<char*>(tensor.data<bool>());
    case DType::f16: return reinterpret_cast<char*>(tensor.data<Half>());
    case DType::bf16: return reinterpret_cast<char*>(tensor.data<BFloat16>());
    case DType::i8: return reinterpret_cast<char*>(tensor.data<int8_t>());
  }
  throw DTypeError("safetensors: a dtype without bytes");
}

// What the header says of one tensor, checked against nothing but itself.
struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t begin, end;
};

// Reads one file; every refusal names the path, and the tensor where there is one.
class Reader {
 public:
  Reader(std::string path, std::string_view content) : path_(std::move(path)), content_(content) {}

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
    for (const Entry& entry : entries) file.tensors.emplace(entry.name, make_tensor(entry));
    return file;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw DataError(fmt::format("{}: not a valid safetensors file: {}; write or download it again", path_, what));
  }
  [[noreturn]] void fail(std::string_view tensor, std::string_view what) const {
    // A hostile name may be megabytes long or hold control characters.
    std::string shown(tensor.substr(0, 80));
    for (char& c : shown) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    fail(fmt::format("tensor '{}': {}", shown, what));
  }

  json::object parse_header() {
    if (content_.size() < kLengthBytes) {
      fail(fmt::format("{} bytes, shorter than the 8 bytes of the header's length", content_.size()));
    }
    uint64_t length = 0;
    std::memcpy(&length, content_.data(), kLengthBytes);
    if (length > kMaxHeaderBytes) {
      fail(fmt::format("the header says it is {} bytes long, more than the limit of {}", length, kMaxHeaderBytes));
    }
    if (length > content_.size() - kLengthBytes) {
      fail(fmt::format("the header says it is {} bytes long, but {} follow", length, content_.size() - kLengthBytes));
    }
    const std::string_view text = content_.substr(kLengthBytes, length);
    data_ = content_.substr(kLengthBytes + length);
    if (text.empty() || text.front() != '{') fail("the header does not begin with '{'");
    // json::object keeps one of two equal names; which tensor is meant would be a guess.
    if (const auto twice = duplicate_key(text)) fail(*twice, "the name stands twice in one object");
    boost::system::error_code error;
    const json::value value = json::parse(text, error);
    if (error) fail("the header is not JSON: " + error.message());
    return value.as_object();
  }

  std::map<std::string, std::string> read_metadata(const json::value& value) const {
    std::map<std::string, std::string> metadata;
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
    for (const auto& member : object) {
      const std::string_view key(member.key());
      if (key != "dtype" && key != "shape" && key != "data_offsets") fail(name, "an unknown field");
    }
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
    const auto known = dtype_of_name(dtype_text);
    if (!known) fail(name, fmt::format("unknown dtype '{}'", dtype_text.substr(0, 16)));
    entry.dtype = *known;
    entry.begin = read_size(name, "data_offsets", offsets->get_array()[0]);
    entry.end = read_size(name, "data_offsets", offsets->get_array()[1]);
    const uint64_t bytes = read_shape(name, shape->get_array(), entry);
    check_bounds(entry, bytes);
    return entry;
  }

  // Fills entry.shape; the result is its size in bytes, computed so that it cannot wrap.
  uint64_t read_shape(std::string_view name, const json::array& sizes, Entry& entry) const {
    if (sizes.size() > kMaxDims) fail(name, fmt::format("{} dimensions, more than {}", sizes.size(), kMaxDims));
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    // Zeros are set aside, so that [2^62, 2^62, 0], whose strides would overflow, is refused as well.
    uint64_t bytes = size_of(entry.dtype);
    bool empty = false;
    for (const json::value& value : sizes) {
      const uint64_t size = read_size(name, "shape", value);
      if (size == 0) {
        empty = true;
      } else if (size > kMax / bytes) {
        fail(name, "its shape overflows");
      } else {
        bytes *= size;
      }
      entry.shape.push_back(static_cast<int64_t>(size));
    }
    return empty ? 0 : bytes;
  }

  void check_bounds(const Entry& entry, uint64_t bytes) const {
    if (entry.begin > entry.end) {
      fail(entry.name, fmt::format("data_offsets [{}, {}] end before they begin", entry.begin, entry.end));
    }
    if (entry.end > data_.size()) {
      fail(entry.name, fmt::format("data_offsets [{}, {}] reach beyond the {} bytes of data (is the file truncated?)",
                                   entry.begin, entry.end, data_.size()));
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
    if (reached != data_.size()) {
      fail(fmt::format("{} bytes of data, but the tensors end at {}", data_.size(), reached));
    }
  }

  Tensor make_tensor(const Entry& entry) const {
    Tensor tensor = Tensor::empty(entry.shape, entry.dtype);
    const std::string_view source = data_.substr(entry.begin, entry.end - entry.begin);
    if (entry.dtype == DType::boolean) {
      // Reading a C++ bool that is neither 0 nor 1 is undefined.
      for (const char c : source) {
        if (c != 0 && c != 1) fail(entry.name, "a BOOL that is neither 0 nor 1");
      }
    }
    if (!source.empty()) std::memcpy(bytes_of(tensor), source.data(), source.size());
    return tensor;
  }

  const std::string path_;
  const std::string_view content_;
  std::string_view data_;
};

}  // namespace

SafetensorsFile load_safetensors(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  return Reader(path.string(), content).read();
}

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
    const uint64_t bytes = static_cast<uint64_t>(tensor.numel()) * size_of(tensor.dtype());
    header[name] = {{"dtype", dtype_name(tensor.dtype())},
                    {"shape", json::array(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {offset, offset + bytes}}};
    if (bytes > 0) parts.emplace_back(bytes_of(tensor), bytes);
    offset += bytes;
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
