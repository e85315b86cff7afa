// Gathering and scattering elements by index. Indices are i32 or i64 (DTypeError). An index out of range is an
// IndexError that names its position. x may have any dtype; floating ones are differentiable any number of times.
// Several indices may name one element; they then take effect in their order, for any number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// x[.., index[j], ..] along `dim`, for an index [n] (ShapeError).
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
/// x with alpha·source[.., j, ..] added at index[j] of `dim`. source has x's shape, except size n in `dim`
/// (ShapeError).
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha = 1);
/// x with source[.., j, ..] in place of index[j]. For equal indices the last one wins.
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);

/// y[i..] = x[.., index[i..], ..]. y has the shape of index. index has x's number of dimensions; except in `dim` no
/// size exceeds x's (ShapeError).
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
/// x with source[i..] in place of [.., index[i..], ..]. For equal indices the last one wins. source is at least as
/// large as index (ShapeError); elements beyond it are ignored.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, Scalar value);
/// x with source[i..] added at [.., index[i..], ..].
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
enum class ScatterReduce { sum, prod, mean, amax, amin };
/// x with source[i..] combined with the element at [.., index[i..], ..]: the sum, product, mean, maximum or minimum of
/// all values for one element. x's own value is among them if include_self. f32 or f64 (DTypeError). The gradient of
/// products is exact where elements are 0; equal extremes share the gradient. Time O(x + source); for products times
/// the logarithm of the largest number of values for one element.
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, ScatterReduce reduce,
                      bool include_self = true);
/// gather, after x and index are broadcast to each other in all dimensions but `dim`. Takes the result of argsort.
Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim);

/// NumPy's indexing by tensors, x[i, j]. `indices` stand for x's dimensions in order; an undefined or missing one for a
/// whole dimension. The defined ones broadcast to one shape (ShapeError), which replaces their dimensions if these are
/// neighbours, and comes first otherwise. Negative indices count from the back. A bool tensor stands for as many
/// dimensions as it has, and selects where it is true. ValueError if no index is defined; IndexError if there are more
/// indices than dimensions.
Tensor index(const Tensor& x, const std::vector<Tensor>& indices);
/// x with `values` in place of the elements that index() selects, or added to them if accumulate. values broadcasts to
/// index()'s result (ShapeError). For equal indices the last value wins, or all are added.
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate = false);
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, Scalar value, bool accumulate = false);

/// The elements where `mask` (bool or u8: DTypeError; broadcast with x) is not 0, in row-major order: shape [n].
Tensor masked_select(const Tensor& x, const Tensor& mask);

/// Rows of a weight [entries, width] for ids of any shape: ids.shape + [width]. Row padding_idx gets no gradient,
/// unless padding_idx is negative. ShapeError, IndexError.
Tensor embedding(const Tensor& weight, const Tensor& ids, int64_t padding_idx = -1);
enum class BagMode { sum, mean, max };
/// [bags, width]: row b is the sum, mean or maximum of the rows ids[offsets[b]] to before ids[offsets[b + 1]]; the last
/// bag reaches to the end. Either ids is [n] and offsets [bags], ascending from 0 (ValueError), or ids is [bags, n] and
/// offsets undefined. Empty bags are 0. Ids equal to padding_idx do not count. per_sample_weights, of the shape of ids
/// (ShapeError), multiply the rows; mode sum only (ValueError).
Tensor embedding_bag(const Tensor& weight, const Tensor& ids, const Tensor& offsets = {}, BagMode mode = BagMode::mean,
                     int64_t padding_idx = -1, const Tensor& per_sample_weights = {});

}  // namespace qing
