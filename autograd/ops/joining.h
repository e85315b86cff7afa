// Joining tensors and taking them apart. Any dtype; floating ones are differentiable. Dimensions may
// be negative: IndexError if out of range. Tensors that are joined have one dtype (DTypeError).
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// Along `dim`; the other sizes are equal (ShapeError). Tensors of shape [0] are skipped, as in PyTorch.
Tensor cat(const std::vector<Tensor>& tensors, int64_t dim = 0);
/// Along a new dimension; all of one shape.
Tensor stack(const std::vector<Tensor>& tensors, int64_t dim = 0);
Tensor hstack(const std::vector<Tensor>& tensors);  ///< cat along dimension 1, or 0 for vectors
Tensor vstack(const std::vector<Tensor>& tensors);  ///< cat along dimension 0, vectors being rows

/// Views of `size` elements along `dim`, the last one of what is left.
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);
/// Views of the given sizes, which add up to that of `dim` (ShapeError).
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
/// At most `chunks` views of equal size but for the last.
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
/// One view for each index of `dim`, without that dimension.
std::vector<Tensor> unbind(const Tensor& x, int64_t dim = 0);

}  // namespace qing
