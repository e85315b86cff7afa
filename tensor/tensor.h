// Tensor: an intrusive reference-counted handle to {storage, layout, dtype, autograd metadata}. Copying a Tensor copies
// the handle. Distinct tensors may be used from distinct threads; one tensor written by two threads is the caller's
// race.
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

/// What autograd hangs on a tensor that takes part in a graph. Opaque to this folder but for what it takes over: the
/// members of Tensor of the same names call these then, so that a gradient flows through them. Which tensor's metadata
/// is called does not matter: an in-place operation calls that of an operand if the written tensor has none.
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
  /// Any other view of x's elements; `view` gives it of every tensor of x's shape.
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
  /// Any operation that gives every element of x a value that no gradient flows into. `write` does it to a tensor on
  /// the same memory that is outside the graph. Errors name `op`; the graph calls the operation "fill".
  virtual void overwrite(const char* op, Tensor& x, const std::function<void(Tensor&)>& write) const = 0;
};

/// Bytes with the version counter of in-place writes: 64-byte aligned from the caching allocator, or foreign.
class Storage {
 public:
  explicit Storage(size_t bytes);
  Storage(void* data, size_t bytes, std::function<void()> release);  ///< Calls `release`, if any, at the end.
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

/// A number or a list of such: what nested braces become. Lists of different lengths are refused when a tensor is made.
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
  static Tensor full(Shape shape, Scalar value, DType dtype = DType::f32);
  /// 0, 1, ..., n−1. ValueError if the dtype does not hold n−1.
  static Tensor arange(int64_t n, DType dtype = DType::i64);
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);  ///< Copies; ShapeError if the count differs.
  template <class T> static Tensor from(std::initializer_list<T> values, Shape shape) {
    return from(std::span<const T>(values.begin(), values.size()), std::move(shape));
  }
  /// Tensor::of({{1, 2}, {3, 4}}). ShapeError if the lists are ragged, ValueError if the dtype does not hold a number.
  static Tensor of(const NestedValues& values, DType dtype = DType::f32);
  /// A tensor over memory that is not qing's, without a copy. `data` is the first element; strides, in elements, may be
  /// negative or 0 and are those of a contiguous tensor if left out. `release` is called when the last tensor on it
  /// goes, from whatever thread that is; until then the memory must stay. ValueError if data is null or misaligned or
  /// the strides overflow, ShapeError if there is not a stride for each size; after an error release is not called.
  template <class T>
  static Tensor wrap(T* data, Shape shape, std::optional<Strides> strides = std::nullopt,
                     std::function<void()> release = nullptr);

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
  size_t storage_bytes() const;
  bool may_overlap(const Tensor& other) const;  ///< Whether the memory from first to last element meets that of other.

  /// Pointer to the first element (offset applied). DTypeError if T is not this tensor's type.
  template <class T> T* data() const;
  /// The elements of a contiguous tensor; ShapeError if it is not contiguous.
  template <class T> std::span<T> span() const;
  /// The value of a one-element tensor of any arithmetic dtype.
  double item() const;
  double at(std::initializer_list<int64_t> position) const;  ///< One element; IndexError when out of range.
  void set(std::initializer_list<int64_t> position, Scalar value);

  // Views share storage. On a tensor that takes part in a graph they are recorded, like the functions of
  // <qing/autograd/ops.h> of the same names.
  Tensor reshape(const Shape& shape) const;  ///< A view if strides allow, else a copy.
  Tensor transpose(int64_t a, int64_t b) const;
  Tensor permute(const std::vector<int64_t>& order) const;
  Tensor expand(const Shape& shape) const;
  Tensor slice(int64_t dim, int64_t start, int64_t end, int64_t step = 1) const;
  Tensor select(int64_t dim, int64_t index) const;
  Tensor squeeze(int64_t dim) const;
  Tensor squeeze() const;  ///< Removes every dimension of size 1.
  Tensor unsqueeze(int64_t dim) const;
  /// NumPy's basic indexing: x.index({0, Slice(1, 5, 2), Ellipsis, NewAxis}), or x[{...}]. Write to it with copy_from
  /// or fill.
  Tensor index(std::span<const Index> indices) const;
  Tensor index(std::initializer_list<Index> indices) const {
    return index(std::span<const Index>(indices.begin(), indices.size()));
  }
  Tensor operator[](std::initializer_list<Index> indices) const { return index(indices); }
  Tensor operator[](int64_t position) const { return index({position}); }
  Tensor movedim(const std::vector<int64_t>& from, const std::vector<int64_t>& to) const;
  Tensor movedim(int64_t from, int64_t to) const { return movedim(std::vector{from}, std::vector{to}); }
  Tensor narrow(int64_t dim, int64_t start, int64_t length) const;
  Tensor flatten(int64_t first = 0, int64_t last = -1) const;  ///< A view if strides allow, else a copy.
  Tensor unflatten(int64_t dim, const Shape& sizes) const;
  Tensor diagonal(int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) const;
  Tensor unfold(int64_t dim, int64_t size, int64_t step) const;  ///< Sliding windows; see Layout::unfold.
  /// Any layout within this tensor's storage; ValueError if it reaches outside, AutogradError for a tensor of a graph.
  Tensor as_strided(Shape sizes, Strides strides, int64_t offset = 0) const;

  Tensor contiguous() const;     ///< This tensor if contiguous, else a copy.
  Tensor clone() const;          ///< A contiguous copy with its own storage. Recorded, like views.
  Tensor to(DType dtype) const;  ///< Converts; the same handle if the dtype is the same. Recorded, like views.
  Tensor alias() const;          ///< Another tensor on the same memory, outside any graph and no view of this one.

  // In-place writes bump the version, so that backward can refuse a stale saved tensor. They are recorded when this
  // tensor or the operand takes part in a graph: this tensor's base, and every view of it, then has the new history.
  // AutogradError if this tensor is a leaf that requires a gradient or a view of one, or a view made under NoGradGuard
  // of a recorded tensor; under NoGradGuard nothing is recorded or refused. The right operand broadcasts, converts to
  // this dtype and may overlap this tensor. ValueError if elements of this tensor share memory (expanded, overlapping
  // windows). Arithmetic is for f32, f64 and the integers (DTypeError otherwise); integers wrap, and div_ is for
  // floating dtypes alone. A floating operand of an integer tensor is a DTypeError, a number with a fraction beside one
  // a ValueError. Scalar states what becomes of numbers out of a dtype's range. Writes through data(), span() and the
  // functions of tensor/ops are never recorded, nor are writes through another tensor on the same memory that is no
  // view of this one: detach(), alias(), Tensor::wrap.
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
  /// NaN elements stay. A bound outside the dtype's range is ignored if it excludes no value of the dtype (low = -5 for
  /// u8). It is a ValueError if it excludes all of them (low = 300 for u8). A NaN bound is a ValueError.
  Tensor& clamp_(std::optional<Scalar> low, std::optional<Scalar> high);
  Tensor& masked_fill_(const Tensor& mask, Scalar value);  ///< `mask` is bool and broadcasts.
  uint64_t version() const;
  void bump_version();

  AutogradMeta* autograd_meta() const;
  void set_autograd_meta(std::unique_ptr<AutogradMeta> meta);
  /// The metadata to call for an operation on this tensor: its own, else its base's; null if neither takes part in a
  /// graph.
  const AutogradMeta* recorder() const;
  /// The tensor that this one is a view of, which is no view itself; undefined if this is no view. alias() is no view.
  const Tensor& base() const;
  /// Makes this a view of `other`, or of the base of `other`; of nothing if `other` is undefined.
  void set_base(const Tensor& other);

 private:
  struct Impl;
  explicit Tensor(Impl* impl) : impl_(impl) {}
  Impl& get() const;
  Tensor with_layout(Layout layout) const;
  Impl* impl_ = nullptr;
};

/// A line of dtype and shape, then the values as PyTorch prints them: nested brackets, aligned columns, four decimals,
/// "..." for the middle of a long dimension when there are more than 1000 elements.
std::string to_string(const Tensor& tensor);
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace qing
