// Helpers of the losses. Private to this folder.
#pragma once

#include <qing/autograd/ops/losses.h>
#include <qing/autograd/ops/pointwise_detail.h>

namespace qing {

/// ValueError for a reduction that `op` does not have, and for the mean over no elements.
void check_reduction(Reduction reduction, int64_t count, const char* op);
/// The losses themselves, their mean or their sum; recorded.
Tensor reduced(const Tensor& losses, Reduction reduction, const char* op);

}  // namespace qing
