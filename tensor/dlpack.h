// Tensors to and from other libraries in one process, without a copy: the DLPack protocol
// (https://dmlc.github.io/dlpack/latest/c_api.html), versions 0.8 (ManagedTensor) and 1.0 (ManagedTensorVersioned). The
// structs lie in memory as those of <dlpack/dlpack.h> do, which need not be installed: cast their pointers.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing::dlpack {

inline constexpr int32_t kCpu = 1;  // DLDeviceType
inline constexpr uint32_t kMajorVersion = 1, kMinorVersion = 0;
inline constexpr uint64_t kReadOnly = 1;  // of ManagedTensorVersioned::flags

enum class TypeCode : uint8_t { signed_integer = 0, unsigned_integer = 1, floating = 2, bfloat = 4, boolean = 6 };

struct Device {
  int32_t type;
  int32_t id;
};

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct TensorView {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null means contiguous
  uint64_t byte_offset;
};

struct ManagedTensor {
  TensorView tensor;
  void* manager_context;
  void (*deleter)(ManagedTensor* self);
};

struct Version {
  uint32_t major;
  uint32_t minor;
};

struct ManagedTensorVersioned {
  Version version;
  void* manager_context;
  void (*deleter)(ManagedTensorVersioned* self);
  uint64_t flags;
  TensorView tensor;
};

/// Hands out a tensor; it lives until the receiver calls the deleter. The caller owns what is returned.
ManagedTensor* to_dlpack(const Tensor& tensor);
ManagedTensorVersioned* to_dlpack_versioned(const Tensor& tensor);

/// A tensor over the memory of `managed`, whose deleter is called when the last tensor on it goes; memory marked as
/// read-only is copied instead, since a Tensor can be written. ValueError for a null pointer, memory that is not the
/// CPU's or not aligned, another major version, bools that are neither 0 nor 1; DTypeError for a type qing does not
/// support, or vectors (lanes); ShapeError for negative sizes. After an error `managed` is still the caller's.
Tensor from_dlpack(ManagedTensor* managed);
Tensor from_dlpack(ManagedTensorVersioned* managed);

}  // namespace qing::dlpack
