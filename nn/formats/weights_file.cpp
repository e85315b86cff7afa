#include <qing/nn/formats/weights_file.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <qing/nn/formats/file_faults.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr uint64_t kScaleBytes = 2;

float scale_of(const char* block) {
  Half scale;
  std::memcpy(&scale.bits, block, kScaleBytes);
  return to_float(scale);
}

void unpack_q8_0(const char* block, float* out) {
  const float scale = scale_of(block);
  for (int64_t i = 0; i < kBlockElements; ++i) {
    out[i] = static_cast<float>(static_cast<signed char>(block[kScaleBytes + static_cast<uint64_t>(i)])) * scale;
  }
}

void unpack_q4_0(const char* block, float* out) {
  const float scale = scale_of(block);
  constexpr int64_t half = kBlockElements / 2;
  for (int64_t i = 0; i < half; ++i) {
    const auto byte = static_cast<unsigned char>(block[kScaleBytes + static_cast<uint64_t>(i)]);
    out[i] = static_cast<float>((byte & 15) - 8) * scale;
    out[i + half] = static_cast<float>((byte >> 4) - 8) * scale;
  }
}

// The bytes that the elements of a contiguous tensor take in its file.
uint64_t stored_bytes(const TensorSource& source) {
  const auto elements = static_cast<uint64_t>(numel_of(source.info.shape));
  if (source.coding == ElementCoding::plain) return elements * size_of(source.info.dtype);
  return elements / kBlockElements * block_bytes(source.coding);
}

Tensor unpack(const TensorSource& source) {
  Tensor tensor = Tensor::empty(source.info.shape, DType::f32);
  const auto unpack_block = source.coding == ElementCoding::q8_0 ? unpack_q8_0 : unpack_q4_0;
  const char* block = source.file->bytes().data() + source.offset;
  float* const out = tensor.data<float>();
  for (int64_t i = 0; i < tensor.numel(); i += kBlockElements) {
    unpack_block(block, out + i);
    block += block_bytes(source.coding);
  }
  source.file->forget(source.offset, stored_bytes(source));
  return tensor;
}

}  // namespace

Tensor read_tensor(const TensorSource& source) {
  if (!source.file) return source.values;
  if (source.coding != ElementCoding::plain) return unpack(source);
  return source.file->tensor(source.offset, source.info.dtype, source.info.shape, source.strides);
}

Tensor read_tensor(const TensorSource& source, DType dtype) {
  if (source.info.dtype == dtype) return read_tensor(source);
  Tensor converted;
  {
    const Tensor stored = read_tensor(source);
    converted = stored.to(dtype);
  }
  if (source.file && !source.strides) source.file->forget(source.offset, stored_bytes(source));
  return converted;
}

uint64_t block_bytes(ElementCoding coding) {
  return kScaleBytes + static_cast<uint64_t>(coding == ElementCoding::q8_0 ? kBlockElements : kBlockElements / 2);
}

WeightsFile::WeightsFile(std::string path, std::string format, std::vector<TensorSource> sources,
                         std::map<std::string, std::string> metadata)
    : path_(std::move(path)), format_(std::move(format)), sources_(std::move(sources)), metadata_(std::move(metadata)) {
  std::ranges::sort(sources_, {}, [](const TensorSource& s) -> const std::string& { return s.info.name; });
  for (const TensorSource& source : sources_) infos_.push_back(source.info);
}

const TensorInfo* WeightsFile::find(std::string_view name) const {
  const auto at =
      std::ranges::lower_bound(infos_, name, {}, [](const TensorInfo& i) { return std::string_view(i.name); });
  return at != infos_.end() && at->name == name ? &*at : nullptr;
}

const TensorSource& WeightsFile::source(std::string_view name) const {
  const TensorInfo* info = find(name);
  if (info == nullptr) throw DataError(fmt::format("{}: holds no tensor '{}'", path_, printable(name)));
  return sources_[static_cast<size_t>(info - infos_.data())];
}

Tensor WeightsFile::tensor(std::string_view name) const { return read_tensor(source(name)); }
Tensor WeightsFile::tensor(std::string_view name, DType dtype) const { return read_tensor(source(name), dtype); }

StateDict WeightsFile::state() const {
  StateDict state;
  for (const TensorSource& source : sources_) state.emplace(source.info.name, read_tensor(source));
  return state;
}

}  // namespace qing::nn
