// Tensor: an intrusive reference-counted handle to {storage, layout, dtype, autograd metadata}. Copying a Tensor copies
// the handle. Thread safety: any number of threads may copy, read and destroy handles of one tensor. Nothing may write
// a tensor (elements, metadata or history) while another thread uses it or a view of it; qing takes no lock.
#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <qing/tensor/dtype.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/layout.h>
#include <qing/tensor/scalar.h>

namespace qing {

class Tensor;

/// Autograd's metadata of a tensor that takes part in a graph. This folder only calls it: each member of Tensor that
/// has a member of the same name here forwards to it, so that a gradient flows through the call. Any tensor's metadata
/// may be called: an in-place operation calls the operand's if the written tensor has none.
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
  /// Any other view of x's elements. `view` makes this view of any tensor of x's shape.
  virtual Tensor view(const Tensor& x, std::function<Tensor(const Tensor&)> view) const = 0;
  virtual Tensor clone(const Tensor& x) const = 0;
  virtual Tensor to(const Tensor& x, DType dtype) const = 0;
  // In-place operations.
  virtual void copy_from(Tensor& x, const Tensor& source) const = 0;
  virtual void add_(Tensor& x, const Tensor& other, Scalar alpha) const = 0;
  virtual void sub_(Tensor& x, const Tensor& other, Scalar alpha) const = 0;
  virtual void mul_(Tensor& x, const Tensor& other) const = 0;
  virtual void div_(Tensor& x, const Tensor& other) const = 0;
  virtual void clamp_(Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high) const = 0;
  virtual void masked_fill_(Tensor& x, const Tensor& mask, Scalar value) const = 0;
  /// Any operation that overwrites every element of x with a value that no gradient flows into. `write` performs it on
  /// a tensor outside the graph on the same memory. Errors name `op`; the graph calls the operation "fill".
  virtual void overwrite(const char* op, Tensor& x, const std::function<void(Tensor&)>& write) const = 0;
};

/// A block of memory with the version counter of in-place writes. The memory is 64-byte aligned from the caching
/// allocator, or foreign. The counter is atomic; the bytes are not protected.
class Storage {
 public:
  explicit Storage(size_t bytes);
  /// Foreign memory. The destructor calls `release`, if any.
  Storage(void* data, size_t bytes, std::function<void()> release);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() { return data_; }
  size_t bytes() const { return bytes_; }
  std::atomic<uint64_t> version{0};

 private:
  void* data_;
  size_t bytes_;
  bool owned_;
  std::function<void()> release_;
};

/// A number or a list of NestedValues: the type of nested braces. Tensor::of refuses ragged lists.
class NestedValues {
 public:
  template <std::floating_point T> NestedValues(T value) : value_(Scalar(value)) {}
  template <std::integral T> NestedValues(T value) : value_(Scalar(value)) {}
  NestedValues(std::initializer_list<NestedValues> list) : value_(std::vector<NestedValues>(list)) {}
  const std::variant<Scalar, std::vector<NestedValues>>& value() const { return value_; }

 private:
  std::variant<Scalar, std::vector<NestedValues>> value_;
};

class Tensor {
 public:
  Tensor() = default;  ///< Undefined: defined() is false, and the members that need a tensor throw ValueError.
  Tensor(const Tensor& other) noexcept;
  Tensor(Tensor&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(impl_, other.impl_);
    return *this;
  }
  ~Tensor();

  /// An uninitialised contiguous tensor. ValueError if a size is negative, or the elements or bytes overflow 64 bits;
  /// std::bad_alloc if memory runs out. zeros() has the same errors.
  static Tensor empty(Shape shape, DType dtype = DType::f32);
  static Tensor zeros(Shape shape, DType dtype = DType::f32);
  /// Errors as empty(). ValueError if an integer dtype does not hold the value (see Scalar).
  static Tensor full(Shape shape, Scalar value, DType dtype = DType::f32);
  /// 0, 1, ..., n−1. Errors as empty(). ValueError if the dtype does not hold n−1.
  static Tensor arange(int64_t n, DType dtype = DType::i64);
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);  ///< Copies. ShapeError if the count differs.
  template <class T> static Tensor from(std::initializer_list<T> values, Shape shape) {
    return from(std::span<const T>(values.begin(), values.size()), std::move(shape));
  }
  /// Tensor::of({{1, 2}, {3, 4}}). ShapeError if the lists are ragged; ValueError if the dtype does not hold a number.
  static Tensor of(const NestedValues& values, DType dtype = DType::f32);
  /// A tensor over foreign memory, without a copy. `data` points to the first element. Strides count elements and may
  /// be negative or 0; without them the tensor is contiguous. The memory must stay valid until `release` is called,
  /// which the thread that drops the last tensor on it does. ValueError if data is null or misaligned, or the strides
  /// overflow; ShapeError unless there is one stride for each size. After an error release is not called.
  template <class T>
  static Tensor wrap(T* data, Shape shape, std::optional<Strides> strides = std::nullopt,
                     std::function<void()> release = nullptr);

  bool defined() const { return impl_ != nullptr; }
  DType dtype() const;
  const Layout& layout() const;
  const Shape& shape() const { return layout().sizes; }
  const Strides& strides() const { return layout().strides; }
  int64_t dim() const { return layout().dim(); }
  int64_t size(int64_t dim) const;  ///< A negative dim counts from the back. IndexError if out of range.
  int64_t numel() const { return layout().numel(); }
  bool is_contiguous() const { return layout().is_contiguous(); }
  bool same_as(const Tensor& other) const { return impl_ == other.impl_; }
  bool shares_storage(const Tensor& other) const;
  size_t storage_bytes() const;
  /// Whether the ranges of memory from the lowest to the highest element of both tensors intersect.
  bool may_overlap(const Tensor& other) const;

  /// Pointer to the first element (offset applied). DTypeError if T is not this tensor's type. Writes through it do not
  /// bump the version.
  template <class T> T* data() const;
  /// The elements of a contiguous tensor. ShapeError if it is not contiguous, DTypeError as data().
  template <class T> std::span<T> span() const;
  /// The value of a one-element tensor of any dtype, as a double. ShapeError for any other number of elements.
  double item() const;
  /// One element. IndexError if the position is out of range or has not dim() numbers.
  double at(std::initializer_list<int64_t> position) const;
  /// Sets one element. IndexError as at(); otherwise errors as fill().
  void set(std::initializer_list<int64_t> position, Scalar value);

  // Views share storage. The view of a tensor in a graph is recorded, like the function of the same name in
  // <qing/autograd/ops.h>. Dimensions may be negative and count from the back; every view throws IndexError for a
  // dimension out of range. Layout describes each view; further errors are stated here.
  /// A view if strides allow, else a copy. One size may be −1. ShapeError if the number of elements differs.
  Tensor reshape(const Shape& shape) const;
  Tensor transpose(int64_t a, int64_t b) const;
  /// ShapeError unless `order` names every dimension, ValueError if it names one twice.
  Tensor permute(const std::vector<int64_t>& order) const;
  /// Broadcasts sizes of 1 and adds leading dimensions, with stride 0. ShapeError if a size does not fit.
  Tensor expand(const Shape& shape) const;
  /// Elements start, start + step, ... before end. Both bounds are clamped as in Python. ValueError if step < 1.
  Tensor slice(int64_t dim, int64_t start, int64_t end, int64_t step = 1) const;
  /// Removes `dim`, at one position. IndexError if `index` is out of range; a negative one counts from the back.
  Tensor select(int64_t dim, int64_t index) const;
  /// Removes `dim`. ShapeError unless its size is 1.
  Tensor squeeze(int64_t dim) const;
  Tensor squeeze() const;  ///< Removes every dimension of size 1.
  Tensor unsqueeze(int64_t dim) const;
  /// NumPy's basic indexing: x.index({0, Slice(1, 5, 2), Ellipsis, NewAxis}), or x[{...}]. To write to the selection,
  /// call copy_from or fill on the result. IndexError for too many indices, a second Ellipsis or a position out of
  /// range; ValueError for a step below 1.
  Tensor index(std::span<const Index> indices) const;
  Tensor index(std::initializer_list<Index> indices) const {
    return index(std::span<const Index>(indices.begin(), indices.size()));
  }
  Tensor operator[](std::initializer_list<Index> indices) const { return index(indices); }
  Tensor operator[](int64_t position) const { return index({position}); }
  /// Moves dimension from[i] to place to[i]. ShapeError if the lists differ in length, ValueError if one names a
  /// dimension twice.
  Tensor movedim(const std::vector<int64_t>& from, const std::vector<int64_t>& to) const;
  Tensor movedim(int64_t from, int64_t to) const { return movedim(std::vector{from}, std::vector{to}); }
  /// Elements start to start + length of `dim`. IndexError unless all exist.
  Tensor narrow(int64_t dim, int64_t start, int64_t length) const;
  /// Joins dimensions first to last. ValueError if first comes after last.
  Tensor flatten(int64_t first = 0, int64_t last = -1) const;  ///< A view if strides allow, else a copy.
  /// Splits `dim` into `sizes`; one may be −1. ShapeError if they do not multiply to its size.
  Tensor unflatten(int64_t dim, const Shape& sizes) const;
  /// The diagonal of two dimensions, as a new last one. ValueError if dim1 is dim2.
  Tensor diagonal(int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) const;
  /// Sliding windows, see Layout::unfold. ValueError if size or step < 1, ShapeError if a window does not fit.
  Tensor unfold(int64_t dim, int64_t size, int64_t step) const;
  /// Any layout within this tensor's storage. ShapeError unless there is one stride for each size, ValueError if the
  /// layout reaches outside the storage, AutogradError if the tensor takes part in a graph.
  Tensor as_strided(Shape sizes, Strides strides, int64_t offset = 0) const;

  Tensor contiguous() const;  ///< This tensor if contiguous, else a copy.
  Tensor clone() const;       ///< A contiguous copy with its own storage. Recorded, like views.
  /// Converts (see convert.h). The same handle if the dtype is the same. Recorded, like views.
  Tensor to(DType dtype) const;
  Tensor alias() const;  ///< Another tensor on the same memory, outside any graph. It is not a view of this one.

  // In-place writes bump the version, so that backward can refuse a stale saved tensor.
  // History: a write is recorded when this tensor or the operand takes part in a graph. This tensor's base and every
  // view of the base then have the new history. AutogradError if this tensor is a leaf that requires a gradient, a view
  // of such a leaf, or a view of a recorded tensor that was made under NoGradGuard. Under NoGradGuard nothing is
  // recorded or refused. Not recorded either are writes through data(), span() and the functions of tensor/ops, and
  // writes through another tensor on the same memory that is not a view of this one: detach(), alias(), Tensor::wrap.
  // Operands: the right operand broadcasts to this shape (ShapeError), is converted to this dtype and may overlap this
  // tensor. ValueError if elements of this tensor share memory (expanded, overlapping windows).
  // Arithmetic takes f32, f64 and the integers, div_ only f32 and f64 (DTypeError). Integers wrap. With an integer
  // tensor, a floating operand is a DTypeError and a number with a fraction a ValueError. Scalar states how numbers out
  // of a dtype's range are treated.
  void copy_from(const Tensor& source);
  void fill(Scalar value);
  Tensor& zero_();
  Tensor& add_(const Tensor& other, Scalar alpha = 1);  ///< += alpha · other
  Tensor& add_(Scalar value);
  Tensor& sub_(const Tensor& other, Scalar alpha = 1);
  Tensor& sub_(Scalar value);
  Tensor& mul_(const Tensor& other);
  Tensor& mul_(Scalar value);
  Tensor& div_(const Tensor& other);
  Tensor& div_(Scalar value);
  /// NaN elements stay NaN. A bound outside the dtype's range is ignored if it excludes no value of the dtype (low = -5
  /// for u8). ValueError if a bound excludes every value (low = 300 for u8), if a bound is NaN or if both are missing.
  Tensor& clamp_(std::optional<Scalar> low, std::optional<Scalar> high);
  Tensor& masked_fill_(const Tensor& mask, Scalar value);  ///< `mask` is bool (DTypeError) and broadcasts.
  uint64_t version() const;
  void bump_version();

  AutogradMeta* autograd_meta() const;
  void set_autograd_meta(std::unique_ptr<AutogradMeta> meta);
  /// The metadata to call for an operation on this tensor: its own, else its base's. Null if neither takes part in a
  /// graph.
  const AutogradMeta* recorder() const;
  /// The tensor that this one is a view of; never a view itself. Undefined if this is not a view. The result of alias()
  /// is not a view.
  const Tensor& base() const;
  /// Makes this a view of `other`, or of the base of `other`. An undefined `other` makes it a view of nothing.
  void set_base(const Tensor& other);

 private:
  struct Impl;
  explicit Tensor(Impl* impl) : impl_(impl) {}
  Impl& get() const;
  Tensor with_layout(Layout layout) const;
  Impl* impl_ = nullptr;
};

/// The dtype and shape on one line, then the values in PyTorch's format: nested brackets, aligned columns, four
/// decimals. With more than 1000 elements, "..." replaces the middle of long dimensions.
std::string to_string(const Tensor& tensor);
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace qing
