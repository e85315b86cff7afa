#include <qing/tensor/dlpack.h>

#include <fmt/format.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/strided.h>

namespace qing::dlpack {
namespace {

static_assert(sizeof(TensorView) == 48 && offsetof(TensorView, shape) == 24 && offsetof(TensorView, byte_offset) == 40);
static_assert(sizeof(ManagedTensor) == 64 && offsetof(ManagedTensor, deleter) == 56);
static_assert(sizeof(ManagedTensorVersioned) == 80 && offsetof(ManagedTensorVersioned, tensor) == 32);

TypeCode code_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::f64:
    case DType::f16: return TypeCode::floating;
    case DType::bf16: return TypeCode::bfloat;
    case DType::i32:
    case DType::i64:
    case DType::i8: return TypeCode::signed_integer;
    case DType::u8: return TypeCode::unsigned_integer;
    case DType::boolean: return TypeCode::boolean;
  }
  throw DTypeError("to_dlpack: unknown dtype");
}

DType dtype_from(const DataType& type) {
  if (type.lanes != 1) {
    throw DTypeError(fmt::format("from_dlpack: vectors of {} lanes; give the last dimension that size", type.lanes));
  }
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8, DType::boolean, DType::f16,
                            DType::bf16, DType::i8}) {
    if (type.code == static_cast<uint8_t>(code_of(dtype)) && type.bits == 8 * size_of(dtype)) return dtype;
  }
  throw DTypeError(
      fmt::format("from_dlpack: type code {} of {} bits is not one of qing's dtypes", type.code, type.bits));
}

// The tensor that an export keeps alive, in one block with the struct for the receiver.
template <class Managed> struct Export {
  Managed managed{};
  Tensor tensor;
  Shape shape;
  Strides strides;
};

template <class Managed> Managed* export_tensor(const Tensor& tensor) {
  auto kept = std::make_unique<Export<Managed>>();
  kept->tensor = tensor.alias();
  kept->shape = tensor.shape();
  kept->strides = tensor.strides();
  TensorView& view = kept->managed.tensor;
  view.data = dispatch_all(tensor.dtype(), [&](auto zero) -> void* { return tensor.data<decltype(zero)>(); });
  view.device = {kCpu, 0};
  view.ndim = static_cast<int32_t>(tensor.dim());
  view.dtype = {static_cast<uint8_t>(code_of(tensor.dtype())), static_cast<uint8_t>(8 * size_of(tensor.dtype())), 1};
  view.shape = kept->shape.data();
  view.strides = kept->strides.data();
  kept->managed.manager_context = kept.get();
  kept->managed.deleter = [](Managed* self) { delete static_cast<Export<Managed>*>(self->manager_context); };
  return &kept.release()->managed;
}

void check_bools(const Tensor& bytes) {
  std::atomic<bool> valid{true};
  const uint8_t* const values = bytes.data<uint8_t>();
  for_each_run(bytes.shape(), {&bytes.strides()}, [&](const Run& run) {
    for (int64_t i = 0; i < run.count; ++i) {
      if (values[run.offset[0] + i * run.step[0]] > 1) valid = false;
    }
  });
  if (!valid) throw ValueError("from_dlpack: a bool is neither 0 nor 1; pass the memory as u8 and compare with ne");
}

Tensor import_view(const TensorView& view, std::function<void()> release) {
  if (view.device.type != kCpu) {
    throw ValueError(
        fmt::format("from_dlpack: memory of device type {}; copy it to the CPU (type 1) first", view.device.type));
  }
  const DType dtype = dtype_from(view.dtype);
  if (view.ndim < 0 || (view.ndim > 0 && view.shape == nullptr)) {
    throw ShapeError(fmt::format("from_dlpack: {} dimensions without sizes", view.ndim));
  }
  Shape shape(view.shape, view.shape + view.ndim);
  for (const int64_t size : shape) {
    if (size < 0) throw ShapeError("from_dlpack: shape " + to_string(shape) + " has a negative size");
  }
  std::optional<Strides> strides;
  if (view.strides != nullptr) strides.emplace(view.strides, view.strides + view.ndim);
  if (view.data == nullptr && numel_of(shape) > 0) throw ValueError("from_dlpack: the data pointer is null");
  std::byte* const data = view.data == nullptr ? nullptr : static_cast<std::byte*>(view.data) + view.byte_offset;
  if (dtype == DType::boolean) check_bools(Tensor::wrap(reinterpret_cast<uint8_t*>(data), shape, strides));
  return dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    return Tensor::wrap(reinterpret_cast<T*>(data), std::move(shape), std::move(strides), std::move(release));
  });
}

template <class Managed> Tensor import_tensor(Managed* managed, bool read_only) {
  const auto release = [managed] {
    if (managed->deleter != nullptr) managed->deleter(managed);
  };
  if (!read_only) return import_view(managed->tensor, release);
  Tensor copy = import_view(managed->tensor, nullptr).clone();
  release();
  return copy;
}

}  // namespace

ManagedTensor* to_dlpack(const Tensor& tensor) { return export_tensor<ManagedTensor>(tensor); }

ManagedTensorVersioned* to_dlpack_versioned(const Tensor& tensor) {
  auto* const managed = export_tensor<ManagedTensorVersioned>(tensor);
  managed->version = {kMajorVersion, kMinorVersion};
  return managed;
}

Tensor from_dlpack(ManagedTensor* managed) {
  if (managed == nullptr) throw ValueError("from_dlpack: the pointer is null");
  return import_tensor(managed, false);
}

Tensor from_dlpack(ManagedTensorVersioned* managed) {
  if (managed == nullptr) throw ValueError("from_dlpack: the pointer is null");
  if (managed->version.major != kMajorVersion) {
    throw ValueError(fmt::format("from_dlpack: DLPack {}.{}, and this is {}.{}; the major versions must be the same",
                                 managed->version.major, managed->version.minor, kMajorVersion, kMinorVersion));
  }
  return import_tensor(managed, (managed->flags & kReadOnly) != 0);
}

}  // namespace qing::dlpack
