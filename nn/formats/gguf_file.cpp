#include <qing/nn/formats/gguf_file.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include <qing/nn/formats/byte_cursor.h>

namespace qing::nn {
namespace {

constexpr std::string_view kGgufMagic = "GGUF";
constexpr uint64_t kDefaultAlignment = 32, kMostAlignment = 1 << 20;
constexpr uint32_t kGgufMaxDims = 4;  // GGML_MAX_DIMS
constexpr const char* kAlignmentKey = "general.alignment";

enum ValueType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };
constexpr uint64_t kValueBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};  // 0: not of one size

// A type of elements, as ggml numbers them (enum ggml_type).
struct ElementType {
  uint32_t number;
  const char* name;
  std::optional<DType> dtype = {};
  ElementCoding coding = ElementCoding::plain;
};
constexpr ElementType kGgufTypes[] = {{0, "F32", DType::f32},
                                      {1, "F16", DType::f16},
                                      {2, "Q4_0", DType::f32, ElementCoding::q4_0},
                                      {3, "Q4_1"},
                                      {6, "Q5_0"},
                                      {7, "Q5_1"},
                                      {8, "Q8_0", DType::f32, ElementCoding::q8_0},
                                      {9, "Q8_1"},
                                      {10, "Q2_K"},
                                      {11, "Q3_K"},
                                      {12, "Q4_K"},
                                      {13, "Q5_K"},
                                      {14, "Q6_K"},
                                      {15, "Q8_K"},
                                      {16, "IQ2_XXS"},
                                      {17, "IQ2_XS"},
                                      {18, "IQ3_XXS"},
                                      {19, "IQ1_S"},
                                      {20, "IQ4_NL"},
                                      {21, "IQ3_S"},
                                      {22, "IQ2_S"},
                                      {23, "IQ4_XS"},
                                      {24, "I8", DType::i8},
                                      {25, "I16"},
                                      {26, "I32", DType::i32},
                                      {27, "I64", DType::i64},
                                      {28, "F64", DType::f64},
                                      {29, "IQ1_M"},
                                      {30, "BF16", DType::bf16},
                                      {34, "TQ1_0"},
                                      {35, "TQ2_0"},
                                      {39, "MXFP4"},
                                      {40, "NVFP4"},
                                      {41, "Q1_0"}};

class GgufReader {
 public:
  explicit GgufReader(const std::shared_ptr<const MappedFile>& file)
      : faults_(file->path(), "GGUF"), cursor_(file->bytes(), faults_), file_(file) {}

  GgufFile read() {
    if (cursor_.take(kGgufMagic.size(), "the magic number") != kGgufMagic)
      faults_.invalid("it does not begin with GGUF");
    const auto version = cursor_.number<uint32_t>("the version");
    if ((version & 0xffff) == 0) faults_.unsupported("a file of a big-endian machine; convert the model again");
    if (version != 2 && version != 3) faults_.unsupported(fmt::format("version {}; 2 and 3 are read", version));
    const auto tensors = cursor_.number<uint64_t>("the number of tensors");
    const auto values = cursor_.number<uint64_t>("the number of values");
    GgufFile gguf{.file = file_, .metadata = {}, .sources = {}};
    for (uint64_t i = 0; i < values; ++i) {
      const std::string_view key = read_text("a key");
      const uint64_t place = cursor_.place();
      if (!gguf.metadata.emplace(key, read_value(key)).second) {
        faults_.invalid(fmt::format("the key '{}' is there twice, again at byte {}", printable(key), place));
      }
    }
    for (uint64_t i = 0; i < tensors; ++i) gguf.sources.push_back(read_tensor());
    place_tensors(gguf);
    return gguf;
  }

 private:
  std::string_view read_text(std::string_view what) {
    return cursor_.take(cursor_.number<uint64_t>("the length of a text"), what);
  }

  GgufValue read_value(std::string_view key) {
    const auto type = cursor_.number<uint32_t>("a type");
    switch (type) {
      case u8: return uint64_t{cursor_.number<uint8_t>("a value")};
      case i8: return int64_t{cursor_.number<int8_t>("a value")};
      case u16: return uint64_t{cursor_.number<uint16_t>("a value")};
      case i16: return int64_t{cursor_.number<int16_t>("a value")};
      case u32: return uint64_t{cursor_.number<uint32_t>("a value")};
      case i32: return int64_t{cursor_.number<int32_t>("a value")};
      case u64: return cursor_.number<uint64_t>("a value");
      case i64: return cursor_.number<int64_t>("a value");
      case f32: return double{cursor_.number<float>("a value")};
      case f64: return cursor_.number<double>("a value");
      case boolean: return cursor_.number<uint8_t>("a value") != 0;
      case text: return read_text("a text");
      case array: return read_array(key);
      default: faults_.invalid(fmt::format("the value of '{}' has the unknown type {}", printable(key), type));
    }
  }

  GgufArray read_array(std::string_view key) {
    GgufArray result{.type = cursor_.number<uint32_t>("a type"), .count = cursor_.number<uint64_t>("a count")};
    if (result.type == array) {
      faults_.unsupported(fmt::format("the value of '{}' is an array of arrays", printable(key)));
    }
    if (result.type >= std::size(kValueBytes)) {
      faults_.invalid(fmt::format("the array '{}' has the unknown type {}", printable(key), result.type));
    }
    const uint64_t width = result.type == text ? sizeof(uint64_t) : kValueBytes[result.type];  // the least
    if (result.count > cursor_.left() / width) {
      faults_.invalid(fmt::format("the array '{}' has {} elements, but {} bytes are left (is it cut?)", printable(key),
                                  result.count, cursor_.left()));
    }
    if (result.type == text) {
      for (uint64_t i = 0; i < result.count; ++i) result.texts.push_back(read_text("a text"));
    } else {
      result.numbers = cursor_.take(result.count * width, "an array");
    }
    return result;
  }

  // Offsets count from the beginning of the data, which is known only after the last description.
  TensorSource read_tensor() {
    const std::string name(read_text("the name of a tensor"));
    if (!names_.insert(name).second) faults_.invalid(fmt::format("two tensors have the name '{}'", printable(name)));
    const auto dims = cursor_.number<uint32_t>("the number of dimensions");
    if (dims > kGgufMaxDims) {
      faults_.invalid(
          fmt::format("tensor '{}' has {} dimensions; {} are the most", printable(name), dims, kGgufMaxDims));
    }
    Shape shape;
    int64_t elements = 1;
    for (uint32_t i = 0; i < dims; ++i) {
      const auto size = cursor_.number<uint64_t>("a size");
      if (size == 0 || size > INT64_MAX || __builtin_mul_overflow(elements, static_cast<int64_t>(size), &elements)) {
        faults_.invalid(
            fmt::format("tensor '{}': its size {} is 0 or makes more than 64 bits count", printable(name), size));
      }
      shape.push_back(static_cast<int64_t>(size));
    }
    const int64_t row = shape.empty() ? 1 : shape.front();
    std::ranges::reverse(shape);  // the file has the fastest dimension first
    const auto number = cursor_.number<uint32_t>("a type");
    const auto* const type = std::ranges::find(kGgufTypes, number, &ElementType::number);
    if (type == std::end(kGgufTypes)) {
      faults_.invalid(fmt::format("tensor '{}' has the unknown type {}", printable(name), number));
    }
    if (!type->dtype) {
      faults_.unsupported(fmt::format("tensor '{}' has the type {}; F32, F16, BF16, Q8_0 and Q4_0 are read",
                                      printable(name), type->name));
    }
    if (type->coding != ElementCoding::plain && row % kBlockElements != 0) {
      faults_.invalid(fmt::format("tensor '{}' of {} has rows of {} elements, which are no whole blocks of {}",
                                  printable(name), type->name, row, kBlockElements));
    }
    return {.info = {.name = name, .format = type->name, .dtype = *type->dtype, .shape = std::move(shape)},
            .file = file_,
            .offset = cursor_.number<uint64_t>("an offset"),
            .coding = type->coding};
  }

  void place_tensors(GgufFile& gguf) {
    uint64_t alignment = kDefaultAlignment;
    if (const auto given = gguf.metadata.find(kAlignmentKey); given != gguf.metadata.end()) {
      const auto* const number = std::get_if<uint64_t>(&given->second);
      if (number == nullptr || !std::has_single_bit(*number) || *number > kMostAlignment) {
        faults_.invalid(fmt::format("{} is no power of 2 up to {}", kAlignmentKey, kMostAlignment));
      }
      alignment = *number;
    }
    if (gguf.sources.empty()) return;
    const uint64_t begin = (cursor_.place() + alignment - 1) / alignment * alignment, size = file_->bytes().size();
    const uint64_t data = begin < size ? size - begin : 0;
    std::ranges::sort(gguf.sources, {}, &TensorSource::offset);
    uint64_t reached = 0;
    for (TensorSource& source : gguf.sources) {
      const std::string name = printable(source.info.name);
      const auto elements = static_cast<uint64_t>(numel_of(source.info.shape));
      uint64_t bytes = 0;
      const bool blocks = source.coding != ElementCoding::plain;
      if (__builtin_mul_overflow(blocks ? elements / kBlockElements : elements,
                                 blocks ? block_bytes(source.coding) : size_of(source.info.dtype), &bytes) ||
          source.offset > data || bytes > data - source.offset) {
        faults_.invalid(
            fmt::format("tensor '{}' of {} elements at byte {} of the data reaches beyond their {} bytes (is "
                        "it cut?)",
                        name, elements, source.offset, data));
      }
      if (source.offset % alignment != 0) {
        faults_.invalid(fmt::format("tensor '{}' is at byte {} of the data, which is no multiple of the alignment {}",
                                    name, source.offset, alignment));
      }
      if (source.offset < reached) {
        faults_.invalid(fmt::format("tensor '{}' at byte {} of the data overlaps the one before it, which ends at {}",
                                    name, source.offset, reached));
      }
      reached = source.offset + bytes;
      source.offset += begin;
    }
  }

  const FileFaults faults_;
  ByteCursor cursor_;
  const std::shared_ptr<const MappedFile> file_;
  std::set<std::string> names_;
};

[[noreturn]] void fail_type(const GgufFile& gguf, std::string_view key, const char* wanted) {
  gguf_faults(gguf).invalid(fmt::format("the value of '{}' is no {}", printable(key), wanted));
}

}  // namespace

bool is_gguf(std::string_view bytes) { return bytes.starts_with(kGgufMagic); }

GgufFile read_gguf(const std::shared_ptr<const MappedFile>& file) { return GgufReader(file).read(); }

FileFaults gguf_faults(const GgufFile& gguf) { return FileFaults(gguf.file->path(), "GGUF"); }

const GgufValue& gguf_value(const GgufFile& gguf, std::string_view key) {
  const auto found = gguf.metadata.find(key);
  if (found == gguf.metadata.end()) gguf_faults(gguf).invalid(fmt::format("the value '{}' is missing", key));
  return found->second;
}

std::string_view gguf_text(const GgufFile& gguf, std::string_view key) {
  if (const auto* value = std::get_if<std::string_view>(&gguf_value(gguf, key))) return *value;
  fail_type(gguf, key, "text");
}

int64_t gguf_integer(const GgufFile& gguf, std::string_view key) {
  const GgufValue& value = gguf_value(gguf, key);
  if (const auto* number = std::get_if<uint64_t>(&value); number != nullptr && *number <= INT64_MAX) {
    return static_cast<int64_t>(*number);
  }
  if (const auto* number = std::get_if<int64_t>(&value); number != nullptr && *number >= 0) return *number;
  fail_type(gguf, key, "integer of at least 0");
}

double gguf_number(const GgufFile& gguf, std::string_view key) {
  if (const auto* number = std::get_if<double>(&gguf_value(gguf, key))) return *number;
  fail_type(gguf, key, "floating number");
}

const GgufArray& gguf_array(const GgufFile& gguf, std::string_view key) {
  if (const auto* value = std::get_if<GgufArray>(&gguf_value(gguf, key))) return *value;
  fail_type(gguf, key, "array");
}

std::vector<float> gguf_floats(const GgufFile& gguf, std::string_view key) {
  const GgufArray& values = gguf_array(gguf, key);
  if (values.type != f32) fail_type(gguf, key, "array of f32");
  std::vector<float> floats(values.count);
  if (!floats.empty()) std::memcpy(floats.data(), values.numbers.data(), values.numbers.size());
  return floats;
}

std::map<std::string, std::string> gguf_metadata_texts(const GgufFile& gguf) {
  std::map<std::string, std::string> texts;
  for (const auto& [key, value] : gguf.metadata) {
    std::visit(
        [&, &name = key](const auto& held) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(held)>, GgufArray>) texts[name] = fmt::format("{}", held);
        },
        value);
  }
  return texts;
}

}  // namespace qing::nn
