// Views in addition to the basic ones of layout.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include <qing/tensor/errors.h>
#include <qing/tensor/layout.h>

namespace qing {
namespace {

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

template <class T> bool holds(const Index& index) { return std::holds_alternative<T>(index.value()); }

// The number of dimensions that the entries consume.
int64_t count_taken(std::span<const Index> indices) {
  return std::count_if(indices.begin(), indices.end(),
                       [](const Index& i) { return holds<int64_t>(i) || holds<Slice>(i); });
}

std::vector<int64_t> wrap_distinct(const std::vector<int64_t>& dims, int64_t rank, const char* op) {
  std::vector<int64_t> wrapped;
  for (const int64_t entry : dims) {
    const int64_t d = wrap_dim(entry, rank, op);
    if (std::find(wrapped.begin(), wrapped.end(), d) != wrapped.end()) {
      throw ValueError(fmt::format("{}: dimension {} appears twice in {}", op, d, to_string(dims)));
    }
    wrapped.push_back(d);
  }
  return wrapped;
}

}  // namespace

std::pair<int64_t, int64_t> Layout::extent() const {
  if (numel() == 0) return {0, -1};
  int64_t lowest = offset, highest = offset;
  bool overflow = false;
  for (int64_t d = 0; d < dim(); ++d) {
    int64_t reach = 0;
    overflow |= __builtin_mul_overflow(sizes[d] - 1, strides[d], &reach);
    int64_t& end = reach < 0 ? lowest : highest;
    overflow |= __builtin_add_overflow(end, reach, &end);
  }
  int64_t span = 0;
  if (overflow || __builtin_sub_overflow(highest, lowest, &span)) {
    throw ValueError(fmt::format("shape {} with strides {} reaches further than 64 bits count", to_string(sizes),
                                 to_string(strides)));
  }
  return {lowest, highest};
}

bool Layout::may_overlap_itself() const {
  if (numel() == 0) return false;
  std::vector<std::pair<int64_t, int64_t>> dims;  // stride, size
  for (int64_t d = 0; d < dim(); ++d) {
    if (sizes[d] > 1) dims.emplace_back(std::abs(strides[d]), sizes[d]);
  }
  std::sort(dims.begin(), dims.end());
  // Each stride must exceed the reach of the smaller ones.
  int64_t reach = 0;
  for (const auto& [stride, size] : dims) {
    if (stride <= reach) return true;
    reach += stride * (size - 1);
  }
  return false;
}

Layout Layout::index(std::span<const Index> indices) const {
  const int64_t taken = count_taken(indices);
  const auto ellipses = std::count_if(indices.begin(), indices.end(), holds<EllipsisTag>);
  if (taken > dim()) { throw IndexError(fmt::format("index: {} indices for shape {}", taken, to_string(sizes))); }
  if (ellipses > 1) throw IndexError(fmt::format("index: Ellipsis appears {} times; at most one is allowed", ellipses));
  Layout result = *this;
  int64_t d = 0;
  const auto apply = [&](const auto& entry) {
    using Entry = std::decay_t<decltype(entry)>;
    if constexpr (std::is_same_v<Entry, int64_t>) {
      if (entry < -result.sizes[d] || entry >= result.sizes[d]) {
        throw IndexError(fmt::format("index: position {} of a dimension of size {}, in shape {}", entry,
                                     result.sizes[d], to_string(sizes)));
      }
      result = result.select(d, entry);
    } else if constexpr (std::is_same_v<Entry, Slice>) {
      result = result.slice(d, entry.start.value_or(0), entry.stop.value_or(kEnd), entry.step);
      ++d;
    } else if constexpr (std::is_same_v<Entry, NewAxisTag>) {
      result = result.unsqueeze(d++);
    } else {
      d += dim() - taken;
    }
  };
  for (const Index& entry : indices) std::visit(apply, entry.value());
  return result;
}

Layout Layout::movedim(const std::vector<int64_t>& from, const std::vector<int64_t>& to) const {
  if (from.size() != to.size()) {
    throw ShapeError(fmt::format("movedim: {} dimensions to {} places", from.size(), to.size()));
  }
  const auto sources = wrap_distinct(from, dim(), "movedim"), places = wrap_distinct(to, dim(), "movedim");
  std::vector<int64_t> order(sizes.size(), -1);
  for (size_t i = 0; i < sources.size(); ++i) order[places[i]] = sources[i];
  int64_t next = 0;
  for (int64_t& entry : order) {
    if (entry >= 0) continue;
    while (std::find(sources.begin(), sources.end(), next) != sources.end()) ++next;
    entry = next++;
  }
  return permute(order);
}

Layout Layout::squeeze() const {
  Layout result{{}, {}, offset};
  for (int64_t d = 0; d < dim(); ++d) {
    if (sizes[d] == 1) continue;
    result.sizes.push_back(sizes[d]);
    result.strides.push_back(strides[d]);
  }
  return result;
}

Layout Layout::narrow(int64_t dim, int64_t start, int64_t length) const {
  dim = wrap_dim(dim, this->dim(), "narrow");
  const int64_t size = sizes[dim], first = start < 0 ? start + size : start;
  if (start < -size || first > size || length < 0 || length > size - first) {
    throw IndexError(fmt::format("narrow: {} elements from {} of dimension {} with size {}", length, start, dim, size));
  }
  return slice(dim, first, first + length);
}

std::optional<Layout> Layout::flatten(int64_t first, int64_t last) const {
  if (dim() == 0) return reshape({1});
  first = wrap_dim(first, dim(), "flatten");
  last = wrap_dim(last, dim(), "flatten");
  if (first > last) throw ValueError(fmt::format("flatten: dimension {} comes after {}", first, last));
  Shape target(sizes.begin(), sizes.begin() + first);
  target.push_back(numel_of(Shape(sizes.begin() + first, sizes.begin() + last + 1)));
  target.insert(target.end(), sizes.begin() + last + 1, sizes.end());
  return reshape(target);
}

Layout Layout::unflatten(int64_t dim, const Shape& parts) const {
  dim = wrap_dim(dim, this->dim(), "unflatten");
  if (parts.empty()) throw ShapeError("unflatten: no sizes were given");
  const Shape inferred = infer_shape(parts, sizes[dim], "unflatten");
  Layout result = *this;
  result.sizes.erase(result.sizes.begin() + dim);
  result.strides.erase(result.strides.begin() + dim);
  int64_t stride = strides[dim];
  for (auto size = inferred.rbegin(); size != inferred.rend(); ++size) {
    result.sizes.insert(result.sizes.begin() + dim, *size);
    result.strides.insert(result.strides.begin() + dim, stride);
    stride *= std::max<int64_t>(*size, 1);
  }
  return result;
}

Layout Layout::diagonal(int64_t offset, int64_t dim1, int64_t dim2) const {
  dim1 = wrap_dim(dim1, dim(), "diagonal");
  dim2 = wrap_dim(dim2, dim(), "diagonal");
  if (dim1 == dim2) throw ValueError(fmt::format("diagonal: both dimensions are {}", dim1));
  const int64_t rows = sizes[dim1], columns = sizes[dim2];
  Layout result = *this;
  int64_t size = 0;
  if (offset >= 0 && offset < columns) {
    size = std::min(rows, columns - offset);
    result.offset += size > 0 ? offset * strides[dim2] : 0;
  } else if (offset < 0 && offset > -rows) {
    size = std::min(rows + offset, columns);
    result.offset -= size > 0 ? offset * strides[dim1] : 0;
  }
  for (const int64_t d : {std::max(dim1, dim2), std::min(dim1, dim2)}) {
    result.sizes.erase(result.sizes.begin() + d);
    result.strides.erase(result.strides.begin() + d);
  }
  result.sizes.push_back(size);
  result.strides.push_back(strides[dim1] + strides[dim2]);
  return result;
}

Layout Layout::unfold(int64_t dim, int64_t size, int64_t step) const {
  dim = wrap_dim(dim, this->dim(), "unfold");
  if (size < 1 || step < 1) throw ValueError(fmt::format("unfold: size {} and step {} must be positive", size, step));
  if (size > sizes[dim]) {
    throw ShapeError(fmt::format("unfold: windows of {} in dimension {} of shape {}", size, dim, to_string(sizes)));
  }
  Layout result = *this;
  result.sizes[dim] = (sizes[dim] - size) / step + 1;
  if (result.sizes[dim] > 1) result.strides[dim] *= step;
  result.sizes.push_back(size);
  result.strides.push_back(strides[dim]);
  return result;
}

}  // namespace qing
