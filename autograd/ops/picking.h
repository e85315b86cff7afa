// What every operation that picks elements along a dimension shares. Private to this folder.
#pragma once

#include <qing/autograd/graph.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Records that y = gather(x, dim, index) under the name of the operation that found the indices. `index` is i64,
/// contiguous and of y's shape; dim is not negative. Does nothing unless x records.
void record_picked(OpName op, Tensor& y, const Tensor& x, int64_t dim, const Tensor& index);

}  // namespace qing
