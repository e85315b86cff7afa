// Exchange of tensors with other libraries in one process, without a copy: the DLPack protocol
// (https://dmlc.github.io/dlpack/latest/c_api.html), versions 0.8 (ManagedTensor) and 1.0 (ManagedTensorVersioned). The
// structs have the memory layout of those in <dlpack/dlpack.h>, so pointers can be cast. That header need not be
// installed.
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

/// Exports a tensor. It lives until the receiver calls the deleter. The caller owns the returned struct.
ManagedTensor* to_dlpack(const Tensor& tensor);
ManagedTensorVersioned* to_dlpack_versioned(const Tensor& tensor);

/// A tensor over the memory of `managed`. When the last tensor on it goes, the deleter is called. Read-only memory is
/// copied, since a Tensor can be written. ValueError for a null pointer, memory that is not on the CPU or not aligned,
/// another major version, and bools that are neither 0 nor 1. DTypeError for an unsupported type and for vectors
/// (lanes). ShapeError for negative sizes. After an error the caller still owns `managed`.
Tensor from_dlpack(ManagedTensor* managed);
Tensor from_dlpack(ManagedTensorVersioned* managed);

}  // namespace qing::dlpack
