// Finding and counting values. Results that are positions or counts are i64. NaN is greater than any number.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// The position of the largest element in the flattened tensor, shape []; the first of equal ones. ValueError for no
/// elements.
Tensor argmax(const Tensor& x);
Tensor argmin(const Tensor& x);  ///< of the smallest element; NaN wins here too, as in PyTorch
/// The position of the largest element along `dim`. ValueError if dim has no elements, IndexError if out of range.
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim = false);

struct Unique {
  Tensor values;   ///< ascending, 1-D; every NaN is a separate value
  Tensor inverse;  ///< of x's shape: the position of each element in `values`
  Tensor counts;   ///< the number of occurrences of each value
};
Unique unique(const Tensor& x);  ///< O(n log n).

/// The position where each of `values` would be inserted into `sorted` (1-D, ascending, of the same dtype) to keep its
/// order: before equal elements, or after them if right. O(n log m). `sorted` is not checked for order.
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right = false);

/// Counts how often 0, 1, ... occur in x, which is 1-D and integer. There are at least `minlength` counts. ValueError
/// for a negative element.
Tensor bincount(const Tensor& x, int64_t minlength = 0);
/// Sums weights (f32 or f64, of x's shape) in order instead of counting. The result has their dtype.
Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength = 0);

/// [..., classes] of 0 and 1 for ids (i32 or i64) of any shape. classes −1 means one more than the largest id.
/// ValueError names an id outside [0, classes).
Tensor one_hot(const Tensor& ids, int64_t num_classes = -1);

}  // namespace qing
