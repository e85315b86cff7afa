// Reduced dimensions brought together: what reductions need. For .cpp files; not a public header.
#pragma once

#include <algorithm>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

struct Rows {
  Tensor values;  ///< contiguous, [rows, columns]: each row is what one element of the result stands for
  Shape shape;    ///< the result's
  int64_t rows, columns;
};

/// ValueError if a dimension stands twice in `dims`; IndexError out of range. No dims at all: every dimension.
Rows rows_of(const Tensor& x, std::vector<int64_t> dims, bool keepdim, const char* op);

/// Rows a thread takes at a time.
inline int64_t row_grain(const Rows& rows) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(rows.columns, 1)); }

}  // namespace qing
