// Picking and placing elements by index. Indices are i32 or i64 (DTypeError); one out of range is an IndexError that
// names its position. x may be of any dtype; floating ones are differentiable, any number of times. Where several
// indices meet, the order is that of the indices, whatever the number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// x[.., index[j], ..] along `dim` for an index [n].
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
/// x with alpha·source[.., j, ..] added at index[j] of `dim`; source has x's shape but for `dim`, where it is n.
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha = 1);
/// x with source[.., j, ..] in place of index[j]; of several the last one stays.
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);

/// y[i..] = x[.., index[i..], ..]: y has the shape of index, which has x's number of dimensions and is nowhere larger
/// than x but in `dim` (ShapeError).
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
/// x with source[i..] in place of [.., index[i..], ..]; of several the last one stays. source is at least as large as
/// index; the elements beyond it are not used.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, Scalar value);
/// x with source[i..] added there.
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
enum class ScatterReduce { sum, prod, mean, amax, amin };
/// x with source[i..] joined to what stands there, by the sum, product, mean, largest or smallest of all that meet; x's
/// own value is one of them if include_self. f32 or f64 (DTypeError). The gradient of products is exact where elements
/// are 0; equal extremes share it. Time O(x + source), of products times the logarithm of the most that meet.
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, ScatterReduce reduce,
                      bool include_self = true);
/// gather after x and index are broadcast to each other in all dimensions but `dim`; what argsort gives fits.
Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim);

/// NumPy's indexing by tensors, x[i, j]: `indices` stand for x's dimensions in order; an undefined tensor, and what is
/// left out, for a whole dimension. They broadcast to one shape (ShapeError), which takes the place of the dimensions
/// they stand for, or the front if these are not neighbours. Negative indices count from the back. A bool tensor stands
/// for as many dimensions as it has, and selects where it is true. ValueError if no index is defined.
Tensor index(const Tensor& x, const std::vector<Tensor>& indices);
/// x with values, which broadcast to what index() selects, in its place, the last one where several meet; or added to
/// it, all of them, if accumulate.
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate = false);
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, Scalar value, bool accumulate = false);

/// The elements where `mask` (bool or u8, broadcast with x) is not 0, in row-major order: shape [n].
Tensor masked_select(const Tensor& x, const Tensor& mask);

/// Rows of a weight [entries, width] for ids of any shape: ids.shape + [width]. The row padding_idx, if
/// not negative, gets no gradient.
Tensor embedding(const Tensor& weight, const Tensor& ids, int64_t padding_idx = -1);
enum class BagMode { sum, mean, max };
/// The sum, mean or largest elements of rows ids[offsets[b]] to before ids[offsets[b + 1]] for each bag b, the last one
/// up to the end: [bags, width]; ids is [n] and offsets [bags], ascending from 0 (ValueError), or ids is [bags, n] and
/// offsets undefined. Empty bags are 0. Ids equal to padding_idx do not count. per_sample_weights, of the shape of ids,
/// multiply the rows of sums (ValueError for other modes).
Tensor embedding_bag(const Tensor& weight, const Tensor& ids, const Tensor& offsets = {}, BagMode mode = BagMode::mean,
                     int64_t padding_idx = -1, const Tensor& per_sample_weights = {});

}  // namespace qing
