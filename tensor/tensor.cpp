#include <qing/tensor/tensor.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <qing/tensor/allocator.h>
#include <qing/tensor/convert.h>
#include <qing/tensor/defined.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/scalar_rules.h>

namespace qing {

Storage::Storage(size_t bytes) : data_(allocate(bytes)), bytes_(bytes), owned_(true) {}
Storage::Storage(void* data, size_t bytes, std::function<void()> release)
    : data_(data), bytes_(bytes), owned_(false), release_(std::move(release)) {}
Storage::~Storage() {
  if (owned_) deallocate(data_, bytes_);
  if (release_) release_();
}

struct Tensor::Impl {
  std::atomic<int64_t> references{1};
  std::shared_ptr<Storage> storage;
  Layout layout;
  DType dtype;
  std::unique_ptr<AutogradMeta> meta;
  Tensor base;

  Impl(std::shared_ptr<Storage> s, Layout l, DType d, const Tensor& b = {})
      : storage(std::move(s)), layout(std::move(l)), dtype(d), base(b) {}
};

namespace {

Tensor element(const Tensor& tensor, std::initializer_list<int64_t> position, const char* op) {
  check_defined(tensor, op);
  if (static_cast<int64_t>(position.size()) != tensor.dim()) {
    throw IndexError(
        fmt::format("{}: {} numbers for a position in shape {}", op, position.size(), to_string(tensor.shape())));
  }
  const std::vector<Index> indices(position.begin(), position.end());
  return tensor.index(indices);
}

}  // namespace

Tensor::Tensor(const Tensor& other) noexcept : impl_(other.impl_) {
  if (impl_ != nullptr) impl_->references.fetch_add(1, std::memory_order_relaxed);
}

Tensor::~Tensor() {
  if (impl_ != nullptr && impl_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete impl_;
}

Tensor::Impl& Tensor::get() const {
  if (impl_ == nullptr) refuse_undefined("Tensor");
  return *impl_;
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  Layout layout = Layout::contiguous(std::move(shape));
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(layout.numel()), size_of(dtype), &bytes)) {
    throw ValueError("Tensor::empty: shape " + to_string(layout.sizes) + " needs more bytes than 64 bits count");
  }
  return Tensor(new Impl(std::make_shared<Storage>(bytes), std::move(layout), dtype));
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor tensor = empty(std::move(shape), dtype);
  std::memset(tensor.impl_->storage->data(), 0, tensor.impl_->storage->bytes());
  return tensor;
}

Tensor Tensor::full(Shape shape, Scalar value, DType dtype) {
  Tensor tensor = empty(std::move(shape), dtype);
  fill_with(tensor, value, "full");
  return tensor;
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the shape is moved, which the check does not see in a template
template <class T> Tensor Tensor::from(std::span<const T> values, Shape shape) {
  const auto count = static_cast<int64_t>(values.size());
  if (numel_of(shape) != count) {
    throw ShapeError(fmt::format("Tensor::from: {} values for shape {}", count, to_string(shape)));
  }
  Tensor tensor = empty(std::move(shape), dtype_of<T>);
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}

template <class T>
Tensor Tensor::wrap(T* data, Shape shape, std::optional<Strides> strides, std::function<void()> release) {
  Layout layout = Layout::contiguous(std::move(shape));
  if (strides) {
    if (strides->size() != layout.sizes.size()) {
      throw ShapeError(fmt::format("Tensor::wrap: {} strides for shape {}", strides->size(), to_string(layout.sizes)));
    }
    layout.strides = std::move(*strides);
  }
  if (data == nullptr && layout.numel() > 0) throw ValueError("Tensor::wrap: the pointer is null");
  if (reinterpret_cast<uintptr_t>(data) % alignof(T) != 0) {
    throw ValueError(
        fmt::format("Tensor::wrap: the pointer is not a multiple of the {} bytes that {} needs; copy the values "
                    "into a tensor",
                    alignof(T), name_of(dtype_of<T>)));
  }
  // The storage begins at the lowest element, so offsets and positions are never negative.
  const auto [lowest, highest] = layout.extent();
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(highest - lowest + 1), sizeof(T), &bytes)) {
    throw ValueError("Tensor::wrap: strides " + to_string(layout.strides) + " reach further than memory does");
  }
  layout.offset = -lowest;
  return Tensor(
      new Impl(std::make_shared<Storage>(data + lowest, bytes, std::move(release)), std::move(layout), dtype_of<T>));
}

DType Tensor::dtype() const { return get().dtype; }
const Layout& Tensor::layout() const { return get().layout; }
int64_t Tensor::size(int64_t dim) const { return shape()[wrap_dim(dim, this->dim(), "size")]; }
bool Tensor::shares_storage(const Tensor& other) const { return get().storage == other.get().storage; }

template <class T> T* Tensor::data() const {
  check_defined(*this, "data");
  Impl& impl = get();
  if (impl.dtype != dtype_of<T>) {
    throw DTypeError(fmt::format("data: asked for {} of a tensor of {}", name_of(dtype_of<T>), name_of(impl.dtype)));
  }
  return static_cast<T*>(impl.storage->data()) + impl.layout.offset;
}

template <class T> std::span<T> Tensor::span() const {
  check_defined(*this, "span");
  if (!is_contiguous()) {
    throw ShapeError(fmt::format("span: a tensor of shape {} with strides {} is not contiguous; call contiguous()",
                                 to_string(shape()), to_string(strides())));
  }
  return {data<T>(), static_cast<size_t>(numel())};
}

#define QING_INSTANTIATE(T)                                                                  \
  template Tensor Tensor::from<T>(std::span<const T>, Shape);                                \
  template Tensor Tensor::wrap<T>(T*, Shape, std::optional<Strides>, std::function<void()>); \
  template T* Tensor::data<T>() const;                                                       \
  template std::span<T> Tensor::span<T>() const;
QING_INSTANTIATE(float)
QING_INSTANTIATE(double)
QING_INSTANTIATE(int32_t)
QING_INSTANTIATE(int64_t)
QING_INSTANTIATE(uint8_t)
QING_INSTANTIATE(bool)
QING_INSTANTIATE(Half)
QING_INSTANTIATE(BFloat16)
QING_INSTANTIATE(int8_t)
#undef QING_INSTANTIATE

size_t Tensor::storage_bytes() const { return get().storage->bytes(); }

bool Tensor::may_overlap(const Tensor& other) const {
  if (numel() == 0 || other.numel() == 0) return false;
  const auto range = [](const Tensor& tensor) {
    const auto [lowest, highest] = tensor.layout().extent();
    const auto start = reinterpret_cast<uintptr_t>(tensor.get().storage->data());
    const size_t size = size_of(tensor.dtype());
    return std::pair{start + static_cast<size_t>(lowest) * size, start + (static_cast<size_t>(highest) + 1) * size};
  };
  const auto [begin, end] = range(*this);
  const auto [other_begin, other_end] = range(other);
  return begin < other_end && other_begin < end;
}

double Tensor::at(std::initializer_list<int64_t> position) const { return element(*this, position, "at").item(); }
void Tensor::set(std::initializer_list<int64_t> position, Scalar value) {
  Tensor place = element(*this, position, "set");
  fill_with(place, value, "set");
}

double Tensor::item() const {
  check_defined(*this, "item");
  if (numel() != 1)
    throw ShapeError("item: a tensor of shape " + to_string(shape()) + " does not have exactly one element");
  return dispatch_all(dtype(), [&](auto zero) { return convert<double>(*data<decltype(zero)>()); });
}

Tensor Tensor::with_layout(Layout layout) const {
  const Impl& impl = get();
  return Tensor(new Impl(impl.storage, std::move(layout), impl.dtype, impl.base.impl_ != nullptr ? impl.base : *this));
}

Tensor Tensor::alias() const { return Tensor(new Impl(get().storage, get().layout, get().dtype)); }

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
  check_defined(*this, "clone");
  if (const auto* meta = recorder()) return meta->clone(*this);
  Tensor copy = empty(shape(), dtype());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(DType dtype) const {
  check_defined(*this, "to");
  if (dtype == this->dtype()) return *this;
  if (const auto* meta = recorder()) return meta->to(*this, dtype);
  Tensor converted = empty(shape(), dtype);
  converted.copy_from(*this);
  return converted;
}

uint64_t Tensor::version() const { return get().storage->version.load(std::memory_order_relaxed); }
void Tensor::bump_version() { get().storage->version.fetch_add(1, std::memory_order_relaxed); }
AutogradMeta* Tensor::autograd_meta() const { return get().meta.get(); }
void Tensor::set_autograd_meta(std::unique_ptr<AutogradMeta> meta) { get().meta = std::move(meta); }

const AutogradMeta* Tensor::recorder() const {
  const Impl& impl = get();
  if (impl.meta != nullptr || impl.base.impl_ == nullptr) return impl.meta.get();
  return impl.base.impl_->meta.get();
}

const Tensor& Tensor::base() const { return get().base; }

void Tensor::set_base(const Tensor& other) {
  const bool view_of_view = other.impl_ != nullptr && other.impl_->base.impl_ != nullptr;
  get().base = view_of_view ? other.impl_->base : other;
}

}  // namespace qing
