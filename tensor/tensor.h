// Tensor: an intrusive reference-counted handle to {storage, layout, dtype, autograd metadata}. Copying a Tensor copies
// the handle. Distinct tensors may be used from distinct threads; one tensor written by two threads is the caller's race.
#pragma once

#include <atomic>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <qing/tensor/dtype.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/layout.h>

namespace qing {

class Tensor;

/// What autograd hangs on a tensor that takes part in a graph. Opaque to this folder but for what it takes over: the
/// members of Tensor of the same names call these then, so that a gradient flows through them.
struct AutogradMeta {
  virtual ~AutogradMeta() = default;
  virtual Tensor reshape(const Tensor& x, const Shape& shape) const = 0;
  virtual Tensor transpose(const Tensor& x, int64_t a, int64_t b) const = 0;
  virtual Tensor permute(const Tensor& x, const std::vector<int64_t>& order) const = 0;
  virtual Tensor expand(const Tensor& x, const Shape& shape) const = 0;
  virtual Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) const = 0;
  virtual Tensor select(const Tensor& x, int64_t dim, int64_t index) const = 0;
  virtual Tensor squeeze(const Tensor& x, int64_t dim) const = 0;
  virtual Tensor unsqueeze(const Tensor& x, int64_t dim) const = 0;
  virtual Tensor clone(const Tensor& x) const = 0;
  virtual Tensor to(const Tensor& x, DType dtype) const = 0;
};

/// A block of bytes, 64-byte aligned, from the caching allocator, with the version counter of in-place writes.
class Storage {
 public:
  explicit Storage(size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() { return data_; }
  size_t bytes() const { return bytes_; }
  std::atomic<uint64_t> version{0};

 private:
  void* data_;
  size_t bytes_;
};

class Tensor {
 public:
  Tensor() = default;  ///< Undefined: defined() is false and every other member throws ValueError.
  Tensor(const Tensor& other) noexcept;
  Tensor(Tensor&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(impl_, other.impl_);
    return *this;
  }
  ~Tensor();

  static Tensor empty(Shape shape, DType dtype = DType::f32);  ///< Uninitialised.
  static Tensor zeros(Shape shape, DType dtype = DType::f32);
  static Tensor full(Shape shape, double value, DType dtype = DType::f32);
  static Tensor arange(int64_t n, DType dtype = DType::i64);  ///< 0, 1, ..., n-1
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);  ///< Copies; ShapeError if the count differs.
  template <class T>
  static Tensor from(std::initializer_list<T> values, Shape shape) {
    return from(std::span<const T>(values.begin(), values.size()), std::move(shape));
  }

  bool defined() const { return impl_ != nullptr; }
  DType dtype() const;
  const Layout& layout() const;
  const Shape& shape() const { return layout().sizes; }
  const Strides& strides() const { return layout().strides; }
  int64_t dim() const { return layout().dim(); }
  int64_t size(int64_t dim) const;  ///< Negative dims count from the back.
  int64_t numel() const { return layout().numel(); }
  bool is_contiguous() const { return layout().is_contiguous(); }
  bool same_as(const Tensor& other) const { return impl_ == other.impl_; }
  bool shares_storage(const Tensor& other) const;

  /// Pointer to the first element (offset applied). DTypeError if T is not this tensor's type.
  template <class T>
  T* data() const;
  /// The elements of a contiguous tensor; ShapeError if it is not contiguous.
  template <class T>
  std::span<T> span() const;
  /// The value of a one-element tensor of any arithmetic dtype.
  double item() const;

  // Views share storage. On a tensor that takes part in a graph they are recorded, like the functions of
  // <qing/autograd/ops.h> of the same names.
  Tensor reshape(const Shape& shape) const;  ///< A view if strides allow, else a copy.
  Tensor transpose(int64_t a, int64_t b) const;
  Tensor permute(const std::vector<int64_t>& order) const;
  Tensor expand(const Shape& shape) const;
  Tensor slice(int64_t dim, int64_t start, int64_t end, int64_t step = 1) const;
  Tensor select(int64_t dim, int64_t index) const;
  Tensor squeeze(int64_t dim) const;
  Tensor unsqueeze(int64_t dim) const;

  Tensor contiguous() const;  ///< This tensor if contiguous, else a copy.
  Tensor clone() const;       ///< A contiguous copy with its own storage. Recorded, like views.
  Tensor to(DType dtype) const;  ///< Converts; the same handle if the dtype is the same. Recorded, like views.
  Tensor alias() const;  ///< A new handle state on the same storage and layout, outside any graph.

  // In-place writes bump the version, so that backward can refuse a stale saved tensor.
  void copy_from(const Tensor& source);  ///< Broadcasts and converts.
  void fill(double value);
  uint64_t version() const;
  void bump_version();

  AutogradMeta* autograd_meta() const;
  void set_autograd_meta(std::unique_ptr<AutogradMeta> meta);

 private:
  struct Impl;
  explicit Tensor(Impl* impl) : impl_(impl) {}
  Impl& get() const;
  Tensor with_layout(Layout layout) const;
  Impl* impl_ = nullptr;
};

std::string to_string(const Tensor& tensor);  ///< Values with dtype and shape; long ones are elided.

}  // namespace qing
