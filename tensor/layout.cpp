#include <qing/tensor/layout.h>

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <qing/tensor/errors.h>

namespace qing {
namespace {

int64_t clamp_index(int64_t index, int64_t size) {
  if (index < 0) index = index < -size ? 0 : index + size;
  return std::min(index, size);
}

}  // namespace

int64_t numel_of(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0) throw ValueError("shape " + to_string(shape) + " has a negative size");
  }
  // A size of 0 makes the product 0, so it must not count as an overflow.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(count, size, &count)) {
      throw ValueError("shape " + to_string(shape) + " has more elements than 64 bits count");
    }
  }
  return count;
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

int64_t wrap_dim(int64_t dim, int64_t rank, const char* op) {
  if (dim < -rank || dim >= rank) {
    throw IndexError(fmt::format("{}: dimension {} of a tensor of {} dimensions", op, dim, rank));
  }
  return dim < 0 ? dim + rank : dim;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op) {
  Shape result(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t right = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (left != right && left != 1 && right != 1) {
      throw ShapeError(fmt::format("{}: shapes {} and {} do not broadcast; sizes {} and {} differ and neither is 1", op,
                                   to_string(a), to_string(b), left, right));
    }
    result[result.size() - 1 - i] = left == 1 ? right : left;
  }
  return result;
}

Shape infer_shape(const Shape& target, int64_t numel, const char* op) {
  Shape result = target;
  int64_t known = 1;
  auto unknown = result.end();
  for (auto it = result.begin(); it != result.end(); ++it) {
    if (*it == -1 && unknown == result.end()) {
      unknown = it;
    } else if (*it < 0) {
      throw ShapeError(fmt::format("{}: shape {} has a negative size; one may be -1", op, to_string(target)));
    } else if (__builtin_mul_overflow(known, *it, &known)) {
      throw ShapeError(fmt::format("{}: shape {} has more elements than 64 bits count", op, to_string(target)));
    }
  }
  if (unknown != result.end() && known != 0 && numel % known == 0) {
    *unknown = numel / known;
    known = numel;
  } else if (unknown != result.end()) {
    throw ShapeError(fmt::format("{}: {} elements do not fit shape {}", op, numel, to_string(target)));
  }
  if (known != numel) {
    throw ShapeError(fmt::format("{}: {} elements do not fit shape {}", op, numel, to_string(target)));
  }
  return result;
}

Layout Layout::contiguous(Shape sizes) {
  numel_of(sizes);  // checks
  Layout layout{std::move(sizes), {}, 0};
  layout.strides.resize(layout.sizes.size());
  int64_t stride = 1;
  for (int64_t d = layout.dim() - 1; d >= 0; --d) {
    layout.strides[d] = stride;
    stride *= std::max<int64_t>(layout.sizes[d], 1);
  }
  return layout;
}

int64_t Layout::numel() const {
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  return count;
}

bool Layout::is_contiguous() const {
  if (numel() == 0) return true;  // without elements, strides do not matter
  int64_t expected = 1;
  for (int64_t d = dim() - 1; d >= 0; --d) {
    if (sizes[d] != 1 && strides[d] != expected) return false;
    expected *= sizes[d];
  }
  return true;
}

Layout Layout::transpose(int64_t a, int64_t b) const {
  Layout result = *this;
  a = wrap_dim(a, dim(), "transpose");
  b = wrap_dim(b, dim(), "transpose");
  std::swap(result.sizes[a], result.sizes[b]);
  std::swap(result.strides[a], result.strides[b]);
  return result;
}

Layout Layout::permute(const std::vector<int64_t>& order) const {
  if (order.size() != sizes.size()) {
    throw ShapeError(fmt::format("permute: an order of {} dimensions for shape {}", order.size(), to_string(sizes)));
  }
  Layout result{{}, {}, offset};
  std::vector<bool> taken(order.size(), false);
  for (const int64_t entry : order) {
    const int64_t d = wrap_dim(entry, dim(), "permute");
    if (taken[d]) throw ValueError(fmt::format("permute: dimension {} appears twice in {}", d, to_string(order)));
    taken[d] = true;
    result.sizes.push_back(sizes[d]);
    result.strides.push_back(strides[d]);
  }
  return result;
}

Layout Layout::slice(int64_t dim, int64_t start, int64_t end, int64_t step) const {
  if (step < 1) throw ValueError(fmt::format("slice: step {} is below 1", step));
  dim = wrap_dim(dim, this->dim(), "slice");
  start = clamp_index(start, sizes[dim]);
  end = std::max(start, clamp_index(end, sizes[dim]));
  Layout result = *this;
  result.sizes[dim] = (end - start) / step + ((end - start) % step != 0);
  result.offset += start * strides[dim];
  // The stride of a single element must not overflow.
  if (result.sizes[dim] > 1) result.strides[dim] *= step;
  return result;
}

Layout Layout::select(int64_t dim, int64_t index) const {
  dim = wrap_dim(dim, this->dim(), "select");
  if (index < -sizes[dim] || index >= sizes[dim]) {
    throw IndexError(fmt::format("select: index {} of dimension {} with size {}", index, dim, sizes[dim]));
  }
  Layout result = *this;
  result.offset += (index < 0 ? index + sizes[dim] : index) * strides[dim];
  result.sizes.erase(result.sizes.begin() + dim);
  result.strides.erase(result.strides.begin() + dim);
  return result;
}

Layout Layout::unsqueeze(int64_t dim) const {
  dim = wrap_dim(dim, this->dim() + 1, "unsqueeze");
  Layout result = *this;
  const int64_t stride = dim < this->dim() ? sizes[dim] * strides[dim] : 1;
  result.sizes.insert(result.sizes.begin() + dim, 1);
  result.strides.insert(result.strides.begin() + dim, stride);
  return result;
}

Layout Layout::squeeze(int64_t dim) const {
  dim = wrap_dim(dim, this->dim(), "squeeze");
  if (sizes[dim] != 1) {
    throw ShapeError(fmt::format("squeeze: dimension {} of shape {} is not of size 1", dim, to_string(sizes)));
  }
  return select(dim, 0);
}

Layout Layout::expand(const Shape& target) const {
  const auto added = static_cast<int64_t>(target.size()) - dim();
  Layout result{target, Strides(target.size(), 0), offset};
  bool fits = added >= 0;
  for (int64_t d = 0; fits && d < dim(); ++d) {
    if (sizes[d] == target[d + added]) {
      result.strides[d + added] = strides[d];
    } else {
      fits = sizes[d] == 1 && target[d + added] >= 0;
    }
  }
  if (!fits) throw ShapeError(fmt::format("expand: {} does not broadcast to {}", to_string(sizes), to_string(target)));
  numel_of(target);  // checks
  return result;
}

std::optional<Layout> Layout::reshape(const Shape& target) const {
  const Shape shape = infer_shape(target, numel(), "reshape");
  if (numel() == 0) {
    Layout result = contiguous(shape);
    result.offset = offset;
    return result;
  }
  // Runs of dimensions that are dense in each other are split again. A new dimension must not straddle two runs.
  Layout result{shape, Strides(shape.size(), 0), offset};
  auto next = static_cast<int64_t>(shape.size()) - 1;
  int64_t d = dim() - 1;
  while (d >= 0) {
    if (sizes[d] == 1) {
      --d;
      continue;
    }
    int64_t run = sizes[d], outer = d - 1;
    while (outer >= 0 && (sizes[outer] == 1 || strides[outer] == strides[d] * run)) run *= sizes[outer--];
    int64_t stride = strides[d];
    while (run > 1) {
      if (next < 0 || run % shape[next] != 0) return std::nullopt;
      result.strides[next] = stride;
      stride *= shape[next];
      run /= shape[next--];
    }
    d = outer;
  }
  for (; next >= 0; --next) result.strides[next] = 1;  // only sizes of 1 remain
  return result;
}

}  // namespace qing
