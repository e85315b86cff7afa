#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>

#include <qing/nn/formats/onnx_model.h>
#include <qing/tensor/dispatch.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

// TensorProto.DataType.
struct DataType {
  int32_t number;
  const char* name;
  std::optional<DType> dtype = {};
};
constexpr DataType kOnnxTypes[] = {{1, "FLOAT", DType::f32},
                                   {2, "UINT8", DType::u8},
                                   {3, "INT8", DType::i8},
                                   {4, "UINT16"},
                                   {5, "INT16"},
                                   {6, "INT32", DType::i32},
                                   {7, "INT64", DType::i64},
                                   {8, "STRING"},
                                   {9, "BOOL", DType::boolean},
                                   {10, "FLOAT16", DType::f16},
                                   {11, "DOUBLE", DType::f64},
                                   {12, "UINT32"},
                                   {13, "UINT64"},
                                   {14, "COMPLEX64"},
                                   {15, "COMPLEX128"},
                                   {16, "BFLOAT16", DType::bf16},
                                   {17, "FLOAT8E4M3FN"},
                                   {18, "FLOAT8E4M3FNUZ"},
                                   {19, "FLOAT8E5M2"},
                                   {20, "FLOAT8E5M2FNUZ"},
                                   {21, "UINT4"},
                                   {22, "INT4"},
                                   {23, "FLOAT4E2M1"},
                                   {24, "FLOAT8E8M0"},
                                   {25, "UINT2"},
                                   {26, "INT2"}};

class Source {
 public:
  Source(const OnnxModel& model, const OnnxTensor& tensor)
      : model_(model), tensor_(tensor), name_(printable(tensor.name)), faults_(model.file->path(), "ONNX") {}

  TensorSource make() const {
    const auto* const type = std::ranges::find(kOnnxTypes, tensor_.type, &DataType::number);
    if (type == std::end(kOnnxTypes)) fail(fmt::format("it has the unknown type {}", tensor_.type));
    if (!type->dtype) {
      faults_.unsupported(
          fmt::format("tensor '{}' has the type {}, which qing does not have; convert it", name_, type->name));
    }
    TensorSource source{
        .info = {.name = std::string(tensor_.name), .format = type->name, .dtype = *type->dtype, .shape = tensor_.dims},
        .file = nullptr};
    const uint64_t elements = count(), bytes = elements * size_of(*type->dtype);
    if (tensor_.is_external) {
      place_external(source, bytes);
    } else if (tensor_.raw) {
      if (tensor_.raw->size() != bytes)
        fail(fmt::format("{} bytes of data, but its shape takes {}", tensor_.raw->size(), bytes));
      source.file = model_.file;
      source.offset = tensor_.place;
    } else {
      source.values = from_numbers(elements, *type->dtype);
    }
    return source;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { faults_.invalid(fmt::format("tensor '{}': {}", name_, what)); }

  uint64_t count() const {
    constexpr int64_t kMost = int64_t{1} << 60;  // the bytes stay inside 64 bits
    int64_t product = 1;
    bool empty = false;
    for (const int64_t size : tensor_.dims) {
      if (size < 0) fail(fmt::format("a size of {}", size));
      empty = empty || size == 0;
      if (size > 0 && (__builtin_mul_overflow(product, size, &product) || product > kMost))
        fail("its shape overflows 64 bits");
    }
    return empty ? 0 : static_cast<uint64_t>(product);
  }

  Tensor from_numbers(uint64_t elements, DType dtype) const {
    if (tensor_.numbers.size() != elements) {
      fail(fmt::format("{} elements, but its shape has {}", tensor_.numbers.size(), elements));
    }
    Tensor values = Tensor::empty(tensor_.dims, dtype);
    dispatch_all(dtype, [&](auto zero) {
      using T = decltype(zero);
      T* const out = values.data<T>();
      for (size_t i = 0; i < elements; ++i) {
        if constexpr (std::is_same_v<T, bool>) {
          out[i] = tensor_.numbers[i] != 0;
        } else {
          std::memcpy(out + i, &tensor_.numbers[i], sizeof(T));  // the low bytes
        }
      }
    });
    return values;
  }

  std::string_view external(std::string_view key) const {
    const auto found = tensor_.external.find(key);
    return found == tensor_.external.end() ? std::string_view() : found->second;
  }

  uint64_t external_number(std::string_view key, uint64_t missing) const {
    const std::string_view digits = external(key);
    if (digits.empty()) return missing;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      fail(fmt::format("the {} '{}' of its external data is no number", key, printable(digits)));
    }
    return value;
  }

  // A file below the model's folder, after links.
  fs::path external_path() const {
    const std::string_view location = external("location");
    const auto refuse = [&] {
      faults_.unsupported(
          fmt::format("tensor '{}' has its data in '{}', outside the model's folder; put the file there", name_,
                      printable(location)));
    };
    if (location.empty()) fail("its data are in another file, but nothing says in which");
    const fs::path relative(location);
    if (location.find('\0') != location.npos || relative.is_absolute()) refuse();
    for (const fs::path& part : relative) {
      if (part == "..") refuse();
    }
    std::error_code error;
    const fs::path folder = fs::weakly_canonical(model_.file->path(), error).parent_path();
    fs::path target = fs::weakly_canonical(folder / relative, error);
    if (error || std::ranges::mismatch(folder, target).in1 != folder.end()) refuse();
    return target;
  }

  void place_external(TensorSource& source, uint64_t bytes) const {
    if (tensor_.raw || !tensor_.numbers.empty()) fail("its data are in another file and in this one");
    const std::string_view location = external("location");
    auto opened = model_.external->find(location);
    if (opened == model_.external->end()) {
      opened = model_.external->emplace(location, MappedFile::open(external_path())).first;
    }
    source.file = opened->second;
    source.offset = external_number("offset", 0);
    const uint64_t size = source.file->bytes().size();
    if (source.offset > size || bytes > size - source.offset) {
      fail(fmt::format("its {} bytes at byte {} of '{}' reach beyond the end at {} (is it cut?)", bytes, source.offset,
                       printable(location), size));
    }
    if (const uint64_t given = external_number("length", bytes); given != bytes) {
      fail(fmt::format("{} bytes of external data, but its shape takes {}", given, bytes));
    }
  }

  const OnnxModel& model_;
  const OnnxTensor& tensor_;
  const std::string name_;
  const FileFaults faults_;
};

}  // namespace

TensorSource onnx_source(const OnnxModel& model, const OnnxTensor& tensor) { return Source(model, tensor).make(); }

std::vector<TensorSource> onnx_initializers(const OnnxModel& model) {
  std::vector<TensorSource> sources;
  std::set<std::string_view> names;
  for (const OnnxTensor& tensor : model.initializers) {
    if (!names.insert(tensor.name).second) {
      FileFaults(model.file->path(), "ONNX")
          .invalid(fmt::format("two initializers have the name '{}'", printable(tensor.name)));
    }
    sources.push_back(onnx_source(model, tensor));
  }
  return sources;
}

}  // namespace qing::nn
