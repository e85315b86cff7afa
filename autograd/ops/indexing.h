// Picking and placing elements by index. Indices are i32 or i64 (DTypeError); one out of range is an IndexError that
// names its position. x may be of any dtype; floating ones are differentiable, any number of times. Where several
// indices meet, the order is that of the indices, whatever the number of threads.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// x[.., index[j], ..] along `dim` for an index [n].
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
/// x with alpha·source[.., j, ..] added at index[j] of `dim`; source has x's shape but for `dim`, where it is n.
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, double alpha = 1);
/// x with source[.., j, ..] in place of index[j]; of several the last one stays.
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);

/// y[i..] = x[.., index[i..], ..]: y has the shape of index, which has x's number of dimensions and is nowhere larger
/// than x but in `dim` (ShapeError).
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
/// x with source[i..] in place of [.., index[i..], ..]; of several the last one stays. source is at least as large as
/// index; the elements beyond it are not used.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, double value);
/// x with source[i..] added there.
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
/// gather after x and index are broadcast to each other in all dimensions but `dim`; what argsort gives fits.
Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim);
/// The elements where `mask` (bool or u8, broadcast with x) is not 0, in row-major order: shape [n].
Tensor masked_select(const Tensor& x, const Tensor& mask);

/// Rows of a weight [entries, width] for ids of any shape: ids.shape + [width]. The row padding_idx, if
/// not negative, gets no gradient.
Tensor embedding(const Tensor& weight, const Tensor& ids, int64_t padding_idx = -1);
enum class BagMode { sum, mean };
/// The sum or mean of rows ids[offsets[b]] to before ids[offsets[b + 1]] for each bag b, the last one up to the end:
/// [bags, width]; ids is [n] and offsets [bags], ascending from 0 (ValueError). Empty bags are 0. Ids equal to
/// padding_idx do not count.
Tensor embedding_bag(const Tensor& weight, const Tensor& ids, const Tensor& offsets, BagMode mode = BagMode::mean,
                     int64_t padding_idx = -1);

}  // namespace qing
