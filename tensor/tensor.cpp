#include <qing/tensor/tensor.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include <qing/tensor/allocator.h>
#include <qing/tensor/convert.h>
#include <qing/tensor/dispatch.h>

namespace qing {

Storage::Storage(size_t bytes) : data_(allocate(bytes)), bytes_(bytes) {}
Storage::~Storage() { deallocate(data_, bytes_); }

struct Tensor::Impl {
  std::atomic<int64_t> references{1};
  std::shared_ptr<Storage> storage;
  Layout layout;
  DType dtype;
  std::unique_ptr<AutogradMeta> meta;

  Impl(std::shared_ptr<Storage> s, Layout l, DType d) : storage(std::move(s)), layout(std::move(l)), dtype(d) {}
};

namespace {

// Calls body(destination_offset, source_offset, count) for runs along the last dimension of two layouts of one shape.
template <class Body>
void for_each_run(const Layout& to, const Layout& from, Body body) {
  const int64_t rank = to.dim();
  const int64_t count = rank == 0 ? 1 : to.sizes[rank - 1];
  std::vector<int64_t> index(to.sizes.size(), 0);
  int64_t a = 0, b = 0;
  const int64_t runs = count == 0 ? 0 : to.numel() / count;
  for (int64_t run = 0; run < runs; ++run) {
    body(a, b, count);
    for (int64_t d = rank - 2; d >= 0; --d) {
      a += to.strides[d];
      b += from.strides[d];
      if (++index[d] < to.sizes[d]) break;
      a -= to.strides[d] * to.sizes[d];
      b -= from.strides[d] * to.sizes[d];
      index[d] = 0;
    }
  }
}

template <class To, class From>
void copy_elements(To* to, const Layout& to_layout, const From* from, const Layout& from_layout) {
  const int64_t rank = to_layout.dim();
  const int64_t step_to = rank == 0 ? 1 : to_layout.strides[rank - 1];
  const int64_t step_from = rank == 0 ? 1 : from_layout.strides[rank - 1];
  for_each_run(to_layout, from_layout, [&](int64_t a, int64_t b, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[a + i * step_to] = convert<To>(from[b + i * step_from]);
  });
}

void check_writable(const Layout& layout, const char* op) {
  for (int64_t d = 0; d < layout.dim(); ++d) {
    if (layout.sizes[d] > 1 && layout.strides[d] == 0) {
      throw ValueError(fmt::format("{}: dimension {} of shape {} is expanded, so its elements share memory; write to a "
                                   "clone",
                                   op, d, to_string(layout.sizes)));
    }
  }
}

}  // namespace

Tensor::Tensor(const Tensor& other) noexcept : impl_(other.impl_) {
  if (impl_ != nullptr) impl_->references.fetch_add(1, std::memory_order_relaxed);
}

Tensor::~Tensor() {
  if (impl_ != nullptr && impl_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete impl_;
}

Tensor::Impl& Tensor::get() const {
  if (impl_ == nullptr) throw ValueError("an undefined Tensor was used; give it a value first, e.g. with Tensor::zeros");
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

Tensor Tensor::full(Shape shape, double value, DType dtype) {
  Tensor tensor = empty(std::move(shape), dtype);
  tensor.fill(value);
  return tensor;
}

Tensor Tensor::arange(int64_t n, DType dtype) {
  Tensor tensor = empty({n}, dtype);
  dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* out = tensor.data<T>();
    for (int64_t i = 0; i < n; ++i) out[i] = convert<T>(i);
  });
  return tensor;
}

template <class T>
Tensor Tensor::from(std::span<const T> values, Shape shape) {
  const auto count = static_cast<int64_t>(values.size());
  if (numel_of(shape) != count) {
    throw ShapeError(fmt::format("Tensor::from: {} values for shape {}", count, to_string(shape)));
  }
  Tensor tensor = empty(std::move(shape), dtype_of<T>);
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}

DType Tensor::dtype() const { return get().dtype; }
const Layout& Tensor::layout() const { return get().layout; }
int64_t Tensor::size(int64_t dim) const { return shape()[wrap_dim(dim, this->dim(), "size")]; }
bool Tensor::shares_storage(const Tensor& other) const { return get().storage == other.get().storage; }

template <class T>
T* Tensor::data() const {
  Impl& impl = get();
  if (impl.dtype != dtype_of<T>) {
    throw DTypeError(fmt::format("data: asked for {} of a tensor of {}", name_of(dtype_of<T>), name_of(impl.dtype)));
  }
  return static_cast<T*>(impl.storage->data()) + impl.layout.offset;
}

template <class T>
std::span<T> Tensor::span() const {
  if (!is_contiguous()) {
    throw ShapeError(fmt::format("span: a tensor of shape {} with strides {} is not contiguous; call contiguous()",
                                 to_string(shape()), to_string(strides())));
  }
  return {data<T>(), static_cast<size_t>(numel())};
}

#define QING_INSTANTIATE(T)                                       \
  template Tensor Tensor::from<T>(std::span<const T>, Shape);     \
  template T* Tensor::data<T>() const;                            \
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

double Tensor::item() const {
  if (numel() != 1) throw ShapeError("item: a tensor of shape " + to_string(shape()) + " has not one element");
  return dispatch_all(dtype(), [&](auto zero) { return convert<double>(*data<decltype(zero)>()); });
}

Tensor Tensor::with_layout(Layout layout) const {
  return Tensor(new Impl(get().storage, std::move(layout), get().dtype));
}

Tensor Tensor::reshape(const Shape& shape) const {
  if (const auto* meta = autograd_meta()) return meta->reshape(*this, shape);
  if (auto view = layout().reshape(shape)) return with_layout(std::move(*view));
  const Tensor dense = contiguous();
  return dense.with_layout(*dense.layout().reshape(shape));
}
Tensor Tensor::transpose(int64_t a, int64_t b) const {
  if (const auto* meta = autograd_meta()) return meta->transpose(*this, a, b);
  return with_layout(layout().transpose(a, b));
}
Tensor Tensor::permute(const std::vector<int64_t>& order) const {
  if (const auto* meta = autograd_meta()) return meta->permute(*this, order);
  return with_layout(layout().permute(order));
}
Tensor Tensor::expand(const Shape& shape) const {
  if (const auto* meta = autograd_meta()) return meta->expand(*this, shape);
  return with_layout(layout().expand(shape));
}
Tensor Tensor::slice(int64_t dim, int64_t start, int64_t end, int64_t step) const {
  if (const auto* meta = autograd_meta()) return meta->slice(*this, dim, start, end, step);
  return with_layout(layout().slice(dim, start, end, step));
}
Tensor Tensor::select(int64_t dim, int64_t index) const {
  if (const auto* meta = autograd_meta()) return meta->select(*this, dim, index);
  return with_layout(layout().select(dim, index));
}
Tensor Tensor::squeeze(int64_t dim) const {
  if (const auto* meta = autograd_meta()) return meta->squeeze(*this, dim);
  return with_layout(layout().squeeze(dim));
}
Tensor Tensor::unsqueeze(int64_t dim) const {
  if (const auto* meta = autograd_meta()) return meta->unsqueeze(*this, dim);
  return with_layout(layout().unsqueeze(dim));
}
Tensor Tensor::alias() const { return with_layout(layout()); }

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
  if (const auto* meta = autograd_meta()) return meta->clone(*this);
  Tensor copy = empty(shape(), dtype());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == this->dtype()) return *this;
  if (const auto* meta = autograd_meta()) return meta->to(*this, dtype);
  Tensor converted = empty(shape(), dtype);
  converted.copy_from(*this);
  return converted;
}

void Tensor::copy_from(const Tensor& source) {
  check_writable(layout(), "copy_from");
  // What is read must not be what was just written.
  const bool overlaps = shares_storage(source) && !same_as(source);
  const Tensor safe = overlaps ? source.alias().clone() : source;
  const Layout from_layout = safe.layout().expand(shape());
  if (dtype() == safe.dtype() && is_contiguous() && from_layout.is_contiguous()) {
    dispatch_all(dtype(), [&](auto zero) {
      using T = decltype(zero);
      const size_t bytes = static_cast<size_t>(numel()) * sizeof(T);
      if (bytes > 0) std::memmove(data<T>(), safe.data<T>(), bytes);
    });
  } else {
    dispatch_all(dtype(), [&](auto to) {
      using To = decltype(to);
      dispatch_all(safe.dtype(), [&](auto from) {
        copy_elements(data<To>(), layout(), safe.data<decltype(from)>(), from_layout);
      });
    });
  }
  bump_version();
}

void Tensor::fill(double value) {
  check_writable(layout(), "fill");
  dispatch_all(dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T element = convert<T>(value);
    T* out = data<T>();
    if (is_contiguous()) {
      std::fill(out, out + numel(), element);
    } else {
      const Layout none{shape(), Strides(shape().size(), 0), 0};
      copy_elements(out, layout(), &element, none);
    }
  });
  bump_version();
}

uint64_t Tensor::version() const { return get().storage->version.load(std::memory_order_relaxed); }
void Tensor::bump_version() { get().storage->version.fetch_add(1, std::memory_order_relaxed); }
AutogradMeta* Tensor::autograd_meta() const { return get().meta.get(); }
void Tensor::set_autograd_meta(std::unique_ptr<AutogradMeta> meta) { get().meta = std::move(meta); }

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "Tensor(undefined)";
  constexpr int64_t kShown = 16;
  const Tensor flat = tensor.alias().reshape({-1});
  std::string text = fmt::format("Tensor({} {}: ", name_of(tensor.dtype()), to_string(tensor.shape()));
  for (int64_t i = 0; i < std::min(kShown, flat.numel()); ++i) {
    text += fmt::format("{}{:.6g}", i > 0 ? ", " : "", flat.select(0, i).item());
  }
  return text + (flat.numel() > kShown ? ", ...)" : ")");
}

}  // namespace qing
