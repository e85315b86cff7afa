// Helpers of the operations that select elements along a dimension. Private to this folder.
#pragma once

#include <vector>

#include <qing/autograd/graph.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Records y = gather(x, dim, index) under `op`, the operation that found the indices. `index` is i64, contiguous and
/// of y's shape; dim is not negative. Does nothing unless x records.
void record_picked(OpName op, Tensor& y, const Tensor& x, int64_t dim, const Tensor& index);

/// The index of an operation on elements, checked by checked_index of tensor/ops/index_elements.h. ShapeError unless it
/// has x's number of dimensions and exceeds x's size at most in `dim`.
Tensor element_index(const Tensor& x, int64_t dim, const Tensor& index, const char* op);
/// The part of `source` that an index uses. DTypeError, ShapeError.
Tensor used_part(const Tensor& x, const Tensor& index, const Tensor& source, const char* op);
/// x, or a vector of its one element if x has no dimensions.
Tensor as_vector(const Tensor& x);
/// An index of one dimension.
inline Tensor vector_of(const std::vector<int64_t>& values) {
  return Tensor::from<int64_t>(values, {static_cast<int64_t>(values.size())});
}

}  // namespace qing
