// Accuracy of a batch of logits, for a training loop. ConfusionMatrix (metrics.h) has the metrics of a whole data set.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing::nn {

/// The share of the rows of `logits` ([n, classes], f32 or f64) whose largest element is at the label ([n], i64 or
/// i32). The first of equal logits counts. 0 for no rows. Outside the graph. ShapeError, DTypeError. Thread-safe.
double accuracy(const Tensor& logits, const Tensor& labels);

}  // namespace qing::nn
