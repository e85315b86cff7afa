// Repeating, reversing, shifting, cutting and padding. Any dtype; floating ones are differentiable
// any number of times. Dimensions may be negative (IndexError if out of range).
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// Repeats x repeats[d] times along each dimension; new dimensions come first. ShapeError for fewer counts than
/// dimensions or a negative count.
Tensor repeat(const Tensor& x, const std::vector<int64_t>& repeats);
/// As repeat, but missing counts are 1.
Tensor tile(const Tensor& x, const std::vector<int64_t>& repeats);
/// Repeats each element `repeats` times in a row along `dim`. ValueError if negative.
Tensor repeat_interleave(const Tensor& x, int64_t repeats, int64_t dim);
/// Repeats element i repeats[i] times. repeats is i32 or i64 [size of dim] (ShapeError). ValueError if one is negative.
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, int64_t dim);

Tensor flip(const Tensor& x, const std::vector<int64_t>& dims);  ///< a copy
/// Moves element i of dims[k] to i + shifts[k], around the end. ValueError unless there is one shift for each
/// dimension.
Tensor roll(const Tensor& x, const std::vector<int64_t>& shifts, const std::vector<int64_t>& dims);

/// Keeps the elements on and below (tril) or above (triu) a diagonal of the last two dimensions; others become 0. The
/// diagonal is `diagonal` columns right of the main one. ShapeError for fewer than two dimensions.
Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);

/// Zeros with x's last dimension on a diagonal of two new dimensions, which are dim1 and dim2 of the result. The
/// diagonal is `offset` columns right of the main one. ShapeError if x has no dimension; ValueError if dim1 is dim2 or
/// the offset is out of range.
Tensor diag_embed(const Tensor& x, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1);
/// For a vector: a matrix of zeros with the vector on a diagonal. For a matrix: a copy of that diagonal. ShapeError
/// otherwise.
Tensor diag(const Tensor& x, int64_t diagonal = 0);

enum class PadMode { constant, reflect, replicate, circular };
/// `padding` is {before, after} of the last dimension, then of the one before it, and so on (ShapeError). In mode
/// constant, negative padding crops. reflect does not repeat the edge and takes less than the size; circular takes at
/// most the size (ValueError).
Tensor pad(const Tensor& x, const std::vector<int64_t>& padding, PadMode mode = PadMode::constant, Scalar value = 0);

}  // namespace qing
