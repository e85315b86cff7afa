// The elements of a tensor repeated, reversed, moved, cut or padded. Any dtype; floating ones are differentiable, any
// number of times. Dimensions may be negative: IndexError if out of range.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// x repeats[d] times along each dimension; new dimensions come first. ShapeError for fewer counts than dimensions.
Tensor repeat(const Tensor& x, const std::vector<int64_t>& repeats);
/// As repeat, but missing counts are 1.
Tensor tile(const Tensor& x, const std::vector<int64_t>& repeats);
/// Each element `repeats` times in a row along `dim`.
Tensor repeat_interleave(const Tensor& x, int64_t repeats, int64_t dim);
/// Element i repeats[i] times; repeats is i32 or i64 of shape [size of dim].
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, int64_t dim);

Tensor flip(const Tensor& x, const std::vector<int64_t>& dims);  ///< a copy
/// Element i of dims[k] moves to i + shifts[k], around the end. ValueError unless there is one dimension a shift.
Tensor roll(const Tensor& x, const std::vector<int64_t>& shifts, const std::vector<int64_t>& dims);

/// Elements on and below (tril), or above (triu), the diagonal of the last two dimensions, which lies `diagonal`
/// columns to the right of the main one; 0 elsewhere.
Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);

/// Zeros with x's last dimension on a diagonal of two new dimensions, which stand at dim1 and dim2 of the result; the
/// diagonal lies `offset` columns to the right of the main one. ShapeError without dimensions, ValueError if dim1 is
/// dim2.
Tensor diag_embed(const Tensor& x, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1);
/// A vector on a diagonal of a matrix of zeros; or that diagonal of a matrix, copied. ShapeError for other ranks.
Tensor diag(const Tensor& x, int64_t diagonal = 0);

enum class PadMode { constant, reflect, replicate, circular };
/// `padding` is {before, after} of the last dimension, then of the one before it, and so on. Negative ones crop, in
/// mode constant. reflect: less than the size, which does not repeat the edge; circular: at most the size (ValueError).
Tensor pad(const Tensor& x, const std::vector<int64_t>& padding, PadMode mode = PadMode::constant, Scalar value = 0);

}  // namespace qing
