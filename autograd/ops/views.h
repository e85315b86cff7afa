// Views: the result shares storage with x where x's strides allow. Shapes and errors are those of the members of Tensor
// with the same names.
#pragma once

#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

Tensor reshape(const Tensor& x, const Shape& shape);  ///< one size may be −1
Tensor transpose(const Tensor& x, int64_t a, int64_t b);
Tensor permute(const Tensor& x, const std::vector<int64_t>& order);
Tensor expand(const Tensor& x, const Shape& shape);
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step = 1);
Tensor select(const Tensor& x, int64_t dim, int64_t index);
Tensor squeeze(const Tensor& x, int64_t dim);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor clone(const Tensor& x);  ///< a contiguous copy

// PyTorch's names for members of Tensor.
inline Tensor squeeze(const Tensor& x) { return x.squeeze(); }
inline Tensor flatten(const Tensor& x, int64_t start_dim = 0, int64_t end_dim = -1) {
  return x.flatten(start_dim, end_dim);
}
inline Tensor unflatten(const Tensor& x, int64_t dim, const Shape& sizes) { return x.unflatten(dim, sizes); }
inline Tensor movedim(const Tensor& x, int64_t from, int64_t to) { return x.movedim(from, to); }
inline Tensor movedim(const Tensor& x, const std::vector<int64_t>& from, const std::vector<int64_t>& to) {
  return x.movedim(from, to);
}
inline Tensor swapdims(const Tensor& x, int64_t a, int64_t b) { return transpose(x, a, b); }
inline Tensor broadcast_to(const Tensor& x, const Shape& shape) { return expand(x, shape); }
inline Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  return x.narrow(dim, start, length);
}
inline Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) {
  return x.diagonal(offset, dim1, dim2);
}
/// Grids of coordinates: each vector, or number, spread over one dimension of a common shape, in the order of the
/// vectors. As views. With `xy` the first two dimensions are swapped. ShapeError for other ranks.
enum class GridIndexing { ij, xy };
std::vector<Tensor> meshgrid(const std::vector<Tensor>& vectors, GridIndexing indexing = GridIndexing::ij);
/// Converts. The gradient flows between f32 and f64. A result of another dtype is outside the graph.
Tensor to(const Tensor& x, DType dtype);

}  // namespace qing
