// Gradient checkpointing: less memory for more time.
#pragma once

#include <functional>
#include <vector>

#include <qing/autograd/tensor_function.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// function(inputs), keeping nothing for backward but the inputs: backward computes the function a second time (Chen et
/// al., "Training Deep Nets with Sublinear Memory Cost", 2016). Leaves that the function captures, e.g. a layer's
/// parameters, get their gradients too. `rng`, which the function draws from, is put back for the second time where it
/// was, so that dropouts are the same. The second time has the AutocastGuard of the first, and batch_norm and
/// instance_norm do not update their running statistics again. The function must give the same result both times. Use
/// with backward(): gradients() through a checkpoint is an AutogradError, since it would miss the captured leaves.
Tensor checkpoint(const TensorFunction& function, const std::vector<Tensor>& inputs, Generator* rng = nullptr);

/// Whether this thread computes the function of a checkpoint for the second time. A function with side effects, such as
/// a layer that counts its batches, leaves them out then.
bool recomputing();

}  // namespace qing
