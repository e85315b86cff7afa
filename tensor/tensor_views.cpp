// Views of a tensor: the layout's view on the same storage.
#include <fmt/format.h>

#include <qing/tensor/tensor.h>

namespace qing {

Tensor Tensor::reshape(const Shape& shape) const {
  if (const auto* meta = recorder()) return meta->reshape(*this, shape);
  if (auto view = layout().reshape(shape)) return with_layout(std::move(*view));
  const Tensor dense = contiguous();
  return dense.with_layout(*dense.layout().reshape(shape));
}
Tensor Tensor::transpose(int64_t a, int64_t b) const {
  if (const auto* meta = recorder()) return meta->transpose(*this, a, b);
  return with_layout(layout().transpose(a, b));
}
Tensor Tensor::permute(const std::vector<int64_t>& order) const {
  if (const auto* meta = recorder()) return meta->permute(*this, order);
  return with_layout(layout().permute(order));
}
Tensor Tensor::expand(const Shape& shape) const {
  if (const auto* meta = recorder()) return meta->expand(*this, shape);
  return with_layout(layout().expand(shape));
}
Tensor Tensor::slice(int64_t dim, int64_t start, int64_t end, int64_t step) const {
  if (const auto* meta = recorder()) return meta->slice(*this, dim, start, end, step);
  return with_layout(layout().slice(dim, start, end, step));
}
Tensor Tensor::select(int64_t dim, int64_t index) const {
  if (const auto* meta = recorder()) return meta->select(*this, dim, index);
  return with_layout(layout().select(dim, index));
}
Tensor Tensor::squeeze(int64_t dim) const {
  if (const auto* meta = recorder()) return meta->squeeze(*this, dim);
  return with_layout(layout().squeeze(dim));
}
Tensor Tensor::squeeze() const {
  if (const auto* meta = recorder()) return meta->reshape(*this, layout().squeeze().sizes);
  return with_layout(layout().squeeze());
}
Tensor Tensor::unsqueeze(int64_t dim) const {
  if (const auto* meta = recorder()) return meta->unsqueeze(*this, dim);
  return with_layout(layout().unsqueeze(dim));
}

Tensor Tensor::index(std::span<const Index> indices) const {
  if (const auto* meta = recorder()) {
    return meta->view(
        *this, [kept = std::vector<Index>(indices.begin(), indices.end())](const Tensor& x) { return x.index(kept); });
  }
  return with_layout(layout().index(indices));
}
Tensor Tensor::movedim(const std::vector<int64_t>& from, const std::vector<int64_t>& to) const {
  if (const auto* meta = recorder()) {
    return meta->view(*this, [from, to](const Tensor& x) { return x.movedim(from, to); });
  }
  return with_layout(layout().movedim(from, to));
}
Tensor Tensor::narrow(int64_t dim, int64_t start, int64_t length) const {
  if (const auto* meta = recorder()) {
    return meta->view(*this, [=](const Tensor& x) { return x.narrow(dim, start, length); });
  }
  return with_layout(layout().narrow(dim, start, length));
}
Tensor Tensor::flatten(int64_t first, int64_t last) const {
  if (const auto* meta = recorder()) {
    // Uses a contiguous layout for the sizes: it can join any dimensions.
    return meta->reshape(*this, Layout::contiguous(shape()).flatten(first, last)->sizes);
  }
  if (auto view = layout().flatten(first, last)) return with_layout(std::move(*view));
  const Tensor dense = contiguous();
  return dense.with_layout(*dense.layout().flatten(first, last));
}
Tensor Tensor::unflatten(int64_t dim, const Shape& sizes) const {
  if (const auto* meta = recorder()) return meta->reshape(*this, layout().unflatten(dim, sizes).sizes);
  return with_layout(layout().unflatten(dim, sizes));
}
Tensor Tensor::diagonal(int64_t offset, int64_t dim1, int64_t dim2) const {
  if (const auto* meta = recorder()) {
    return meta->view(*this, [=](const Tensor& x) { return x.diagonal(offset, dim1, dim2); });
  }
  return with_layout(layout().diagonal(offset, dim1, dim2));
}
Tensor Tensor::unfold(int64_t dim, int64_t size, int64_t step) const {
  if (const auto* meta = recorder()) {
    return meta->view(*this, [=](const Tensor& x) { return x.unfold(dim, size, step); });
  }
  return with_layout(layout().unfold(dim, size, step));
}

Tensor Tensor::as_strided(Shape sizes, Strides strides, int64_t offset) const {
  if (recorder() != nullptr) {
    throw AutogradError(
        "as_strided: no gradient flows through it; detach() the tensor, or use index, unfold or diagonal");
  }
  if (sizes.size() != strides.size()) {
    throw ShapeError(fmt::format("as_strided: {} strides for shape {}", strides.size(), to_string(sizes)));
  }
  numel_of(sizes);  // checks
  Layout layout{std::move(sizes), std::move(strides), offset};
  const auto [lowest, highest] = layout.extent();
  const auto held = static_cast<int64_t>(storage_bytes() / size_of(dtype()));
  if (lowest < 0 || highest >= held || offset < 0 || offset > held) {
    throw ValueError(
        fmt::format("as_strided: shape {} with strides {} and offset {} reaches outside the {} elements "
                    "of the storage",
                    to_string(layout.sizes), to_string(layout.strides), offset, held));
  }
  return with_layout(std::move(layout));
}

}  // namespace qing
