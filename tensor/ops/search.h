// Finding and counting values. Results that are positions or counts are i64. NaN is greater than any number.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// The position in the flattened tensor, shape []; the first of equals. ValueError if x has no elements.
Tensor argmax(const Tensor& x);
Tensor argmin(const Tensor& x);  ///< NaN wins here too, as in PyTorch.
/// The position along `dim`. ValueError if dim has no elements.
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim = false);

struct Unique {
  Tensor values;   ///< ascending, 1-D; every NaN is a value of its own
  Tensor inverse;  ///< of x's shape: where in `values` each element stands
  Tensor counts;   ///< how often each value occurs
};
Unique unique(const Tensor& x);  ///< O(n log n).

/// Where each of `values` would be inserted to keep `sorted` (1-D, ascending, of the same dtype) in order: before equal
/// elements, or after them if right. O(n log m); the order of `sorted` is the caller's promise.
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right = false);

/// How often each of 0, 1, ... occurs in x, 1-D and integer; at least `minlength` counts. ValueError if one is
/// negative.
Tensor bincount(const Tensor& x, int64_t minlength = 0);
/// The same, adding up weights (f32 or f64, of x's shape) in order instead of counting; of their dtype.
Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength = 0);

/// [..., classes] of 0 and 1 for ids (i32 or i64) of any shape; classes −1: one more than the greatest. ValueError
/// naming an id outside [0, classes).
Tensor one_hot(const Tensor& ids, int64_t num_classes = -1);

}  // namespace qing
