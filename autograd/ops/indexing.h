// Picking elements by index.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// Rows `index` [n] (i32 or i64) of x [rows, ...]. IndexError names a row out of range.
Tensor index_rows(const Tensor& x, const Tensor& index);
/// Rows of a weight [entries, width] for ids of any shape (i32 or i64): ids.shape + [width]. The row padding_idx, if
/// not negative, gets no gradient.
Tensor embedding(const Tensor& weight, const Tensor& ids, int64_t padding_idx = -1);

}  // namespace qing
