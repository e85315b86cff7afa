// Joining tensors and splitting them. Any dtype; floating ones are differentiable. Dimensions may be negative
// (IndexError if out of range). Tensors that are joined have one dtype (DTypeError); ValueError if there are none.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// Concatenates along `dim`; the other sizes are equal (ShapeError). Tensors of shape [0] are skipped, as in PyTorch.
Tensor cat(const std::vector<Tensor>& tensors, int64_t dim = 0);
/// Concatenates along a new dimension; all shapes are equal (ShapeError).
Tensor stack(const std::vector<Tensor>& tensors, int64_t dim = 0);
Tensor hstack(const std::vector<Tensor>& tensors);  ///< cat along dimension 1, or 0 for vectors
Tensor vstack(const std::vector<Tensor>& tensors);  ///< cat along dimension 0; vectors become rows

/// Views of `size` elements along `dim`; the last one has the rest. ValueError for a size that cannot split `dim`.
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);
/// Views of the given sizes, which add up to the size of `dim` (ShapeError).
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
/// At most `chunks` views; all but the last have equal size. ValueError if chunks < 1.
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
/// One view for each index of `dim`, without that dimension.
std::vector<Tensor> unbind(const Tensor& x, int64_t dim = 0);

}  // namespace qing
