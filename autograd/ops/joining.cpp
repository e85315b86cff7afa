// Joining and splitting: each is the gradient of the other.
#include <qing/autograd/ops/joining.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/views.h>
#include <qing/autograd/ops/views_detail.h>
#include <qing/tensor/ops/apply.h>

namespace qing {
namespace {

bool is_nothing(const Tensor& x) { return x.shape() == Shape{0}; }

void check_some(const std::vector<Tensor>& tensors, const char* op) {
  if (tensors.empty()) throw ValueError(std::string(op) + ": no tensors were given");
}

// The shape of the joined tensor. Checks that all tensors fit it.
Shape joined_shape(const std::vector<Tensor>& tensors, int64_t dim) {
  const auto first = std::find_if_not(tensors.begin(), tensors.end(), is_nothing);
  if (first == tensors.end()) return {0};
  Shape shape = first->shape();
  if (dim >= first->dim()) {
    throw ShapeError(fmt::format("cat: {} has no dimension {}, as another of the tensors has", to_string(shape), dim));
  }
  shape[dim] = 0;
  for (const Tensor& x : tensors) {
    check_same_dtype(tensors[0], x, "cat");
    if (is_nothing(x)) continue;
    Shape fits = x.shape();
    if (x.dim() == first->dim()) fits[dim] = shape[dim];
    if (fits != shape) {
      throw ShapeError(fmt::format("cat: {} does not fit {} along dimension {}; the other sizes have to be equal",
                                   to_string(x.shape()), to_string(first->shape()), dim));
    }
    shape[dim] += x.size(dim);
  }
  return shape;
}

}  // namespace

Tensor cat(const std::vector<Tensor>& tensors, int64_t dim) {
  check_some(tensors, "cat");
  int64_t rank = 1;
  for (const Tensor& x : tensors) {
    if (x.dim() == 0) throw ShapeError("cat: a tensor without dimensions; use stack");
    rank = std::max(rank, x.dim());
  }
  const int64_t d = wrap_dim(dim, rank, "cat");
  const Shape shape = joined_shape(tensors, d);
  Tensor y = Tensor::empty(shape, tensors[0].dtype());
  std::vector<int64_t> starts;
  std::vector<bool> skipped;
  int64_t start = 0;
  for (const Tensor& x : tensors) {
    starts.push_back(start);
    skipped.push_back(is_nothing(x));
    if (skipped.back()) continue;
    y.slice(d, start, start + x.size(d)).copy_from(x.alias());
    start += x.size(d);
  }
  if (is_floating(y.dtype()) && recording(tensors)) {
    starts.push_back(start);
    record("cat", y, tensors, [d, starts, skipped](const Tensor& dy, GradSink& grad) {
      for (size_t i = 0; i + 1 < starts.size(); ++i) {
        if (!grad.needs(i)) continue;
        // A tensor of shape [0] was skipped, for any rank of the others.
        grad.add(i, skipped[i] ? Tensor::zeros({0}, dy.dtype()) : slice(dy, d, starts[i], starts[i + 1]));
      }
    });
  }
  return y;
}

Tensor stack(const std::vector<Tensor>& tensors, int64_t dim) {
  check_some(tensors, "stack");
  std::vector<Tensor> rows;
  for (const Tensor& x : tensors) {
    if (x.shape() != tensors[0].shape()) {
      throw ShapeError(
          fmt::format("stack: shapes {} and {} differ", to_string(tensors[0].shape()), to_string(x.shape())));
    }
    rows.push_back(unsqueeze(x, dim));
  }
  return cat(rows, wrap_dim(dim, tensors[0].dim() + 1, "stack"));
}

Tensor hstack(const std::vector<Tensor>& tensors) {
  check_some(tensors, "hstack");
  std::vector<Tensor> parts;
  parts.reserve(tensors.size());
  for (const Tensor& x : tensors) parts.push_back(x.dim() == 0 ? reshape(x, {1}) : x);
  return cat(parts, parts[0].dim() == 1 ? 0 : 1);
}

Tensor vstack(const std::vector<Tensor>& tensors) {
  check_some(tensors, "vstack");
  std::vector<Tensor> parts;
  parts.reserve(tensors.size());
  for (const Tensor& x : tensors) parts.push_back(x.dim() < 2 ? reshape(x, {1, x.numel()}) : x);
  return cat(parts, 0);
}

std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim) {
  const int64_t d = wrap_dim(dim, x.dim(), "split"), whole = x.size(d);
  if (size < 0 || (size == 0 && whole > 0)) {
    throw ValueError(fmt::format("split: parts of {} elements for a size of {}", size, whole));
  }
  std::vector<int64_t> sizes;
  for (int64_t left = whole; left > 0; left -= size) sizes.push_back(std::min(size, left));
  if (sizes.empty()) sizes.push_back(0);
  return split(x, sizes, d);
}

std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim) {
  const int64_t d = wrap_dim(dim, x.dim(), "split");
  int64_t total = 0;
  for (const int64_t size : sizes) {
    if (size < 0 || size > x.size(d) - total) total = x.size(d) + 1;  // makes the sum wrong
    if (total <= x.size(d)) total += size;
  }
  if (total != x.size(d)) {
    throw ShapeError(fmt::format("split: sizes {} do not add up to {}, the size of dimension {} of {}",
                                 to_string(sizes), x.size(d), d, to_string(x.shape())));
  }
  std::vector<Tensor> parts;
  int64_t start = 0;
  for (const int64_t size : sizes) {
    parts.push_back(slice(x, d, start, start + size));
    start += size;
  }
  return parts;
}

std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  if (chunks < 1) throw ValueError(fmt::format("chunk: {} chunks; needs at least 1", chunks));
  const int64_t d = wrap_dim(dim, x.dim(), "chunk"), whole = x.size(d);
  // No elements: as many empty parts as requested, as in PyTorch.
  if (whole == 0) return split(x, std::vector<int64_t>(static_cast<size_t>(chunks), 0), d);
  return split(x, (whole - 1) / chunks + 1, d);
}

std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
  const int64_t d = wrap_dim(dim, x.dim(), "unbind");
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < x.size(d); ++i) parts.push_back(select(x, d, i));
  return parts;
}

}  // namespace qing
