// The gradient of a convolution's weight in parts over runs of images, so that threads can share it. Not a public
// header.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/convolution_shape.h>

namespace qing {

/// Part p has the images p·images to (p + 1)·images − 1, as far as they exist. The division depends on the arguments
/// alone. All parts together have at most `elements` sums, and there is at least one part.
struct WeightParts {
  int64_t images, parts;
};
WeightParts weight_parts(const Convolution& c, int64_t elements);

/// dweight = the sum of `sums` [parts, groups, taps, channels of a group, filters of a group] over the parts, in order,
/// or += if accumulate. dweight is laid out as the weight. Uses threads.
template <class T>
void sum_weight_parts(const Convolution& c, int64_t parts, const T* sums, T* dweight, bool accumulate);

}  // namespace qing
