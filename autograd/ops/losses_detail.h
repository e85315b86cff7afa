// What losses share. Private to this folder.
#pragma once

#include <qing/autograd/ops/losses.h>
#include <qing/autograd/ops/pointwise_detail.h>

namespace qing {

/// ValueError for a reduction that `op` does not have, and for the mean over nothing.
void check_reduction(Reduction reduction, int64_t count, const char* op);
/// Recorded: the losses themselves, their mean or their sum.
Tensor reduced(const Tensor& losses, Reduction reduction, const char* op);

}  // namespace qing
