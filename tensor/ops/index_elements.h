// Gathering and scattering elements by index, of any dtype, without gradients. If several indices name one element,
// they write in their order, for any number of threads.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// What an index does with the element it names. NaN is both larger and smaller than any number, so it stays.
enum class Placing { overwrite, add, larger, smaller };

/// `index` (i32 or i64: DTypeError) as contiguous i64. IndexError names `op` and the first position whose value is
/// outside [0, size).
Tensor checked_index(const Tensor& index, int64_t size, const char* op);

// In the following `index` comes from checked_index, and `dim` is in [0, x.dim()).

/// y[.., j, ..] = x[.., index[j], ..] for a 1-D index.
Tensor take_rows(const Tensor& x, int64_t dim, const Tensor& index);
/// y[.., index[j], ..] = or += x[.., j, ..]; no other Placing. y is contiguous. x has y's dtype and shape, except the
/// size of index in `dim`.
void place_rows(const Tensor& y, int64_t dim, const Tensor& index, const Tensor& x, Placing placing);
/// y[i..] = x[.., index[i..], ..]. y has the shape of index, which exceeds x's at most in `dim`.
Tensor gather_elements(const Tensor& x, int64_t dim, const Tensor& index);
/// y[.., index[i..], ..] = or += x[i..], or the larger or smaller of both: the reverse. x has the shape of index and
/// the dtype of y. y may have any strides.
void scatter_elements(const Tensor& y, int64_t dim, const Tensor& index, const Tensor& x, Placing placing);

}  // namespace qing
