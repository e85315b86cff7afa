#include <qing/tensor/ops/lanes.h>

#include <fmt/format.h>

#include <numeric>

namespace qing {
namespace {

// The same elements in the same order: dimensions that are dense in each other are joined, sizes of 1 dropped.
Layout coalesced(const Layout& layout, const std::vector<int64_t>& dims) {
  Layout result;
  for (const int64_t d : dims) {
    const int64_t size = layout.sizes[d], stride = layout.strides[d];
    if (size == 1) continue;
    if (!result.sizes.empty() && result.strides.back() == stride * size) {
      result.sizes.back() *= size;
      result.strides.back() = stride;
    } else {
      result.sizes.push_back(size);
      result.strides.push_back(stride);
    }
  }
  return result;
}

bool contains(const std::vector<int64_t>& dims, int64_t d) {
  return std::find(dims.begin(), dims.end(), d) != dims.end();
}

bool one_run(const Layout& layout) { return layout.dim() == 0 || (layout.dim() == 1 && layout.strides[0] == 1); }

}  // namespace

Lanes::Lanes(const Layout& layout, const std::vector<int64_t>& dims, LaneOrder order) {
  std::vector<int64_t> along, across;
  for (int64_t d = 0; d < layout.dim(); ++d) (contains(dims, d) ? along : across).push_back(d);
  if (order == LaneOrder::storage) {
    std::stable_sort(along.begin(), along.end(),
                     [&](int64_t a, int64_t b) { return layout.strides[a] > layout.strides[b]; });
  }
  across_ = coalesced(layout, across);
  along_ = coalesced(layout, along);
  count_ = across_.numel();
  length_ = along_.numel();
  dense_ = one_run(along_);
  columns_ = one_run(across_) && along_.dim() <= 1;
}

int64_t Lanes::position(int64_t lane) const {
  int64_t position = 0;
  for (int64_t d = across_.dim() - 1; d > 0; --d) {
    position += lane % across_.sizes[d] * across_.strides[d];
    lane /= across_.sizes[d];
  }
  return across_.dim() == 0 ? 0 : position + lane * across_.strides[0];
}

std::vector<int64_t> resolve_dims(const std::vector<int64_t>& dims, int64_t rank, const char* op) {
  std::vector<int64_t> resolved;
  for (const int64_t dim : dims) {
    const int64_t d = wrap_dim(dim, std::max<int64_t>(rank, 1), op);
    if (contains(resolved, d)) {
      throw ValueError(fmt::format("{}: dimension {} appears twice in {}", op, d, to_string(dims)));
    }
    resolved.push_back(d);
  }
  if (rank == 0) return {};
  if (dims.empty()) {
    resolved.resize(rank);
    std::iota(resolved.begin(), resolved.end(), 0);
  }
  std::sort(resolved.begin(), resolved.end());
  return resolved;
}

std::vector<int64_t> resolve_dim(int64_t dim, int64_t rank, const char* op) {
  const int64_t d = wrap_dim(dim, std::max<int64_t>(rank, 1), op);
  return rank == 0 ? std::vector<int64_t>{} : std::vector<int64_t>{d};
}

Shape kept_shape(const Shape& shape, const std::vector<int64_t>& dims) {
  Shape kept = shape;
  for (const int64_t d : dims) kept[d] = 1;
  return kept;
}

Shape dropped_shape(const Shape& shape, const std::vector<int64_t>& dims) {
  Shape dropped;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!contains(dims, static_cast<int64_t>(d))) dropped.push_back(shape[d]);
  }
  return dropped;
}

Shape reduced_shape(const Shape& shape, const std::vector<int64_t>& dims, bool keepdim) {
  return keepdim ? kept_shape(shape, dims) : dropped_shape(shape, dims);
}

}  // namespace qing
