// Gradient checkpointing: less memory for more time.
#pragma once

#include <functional>
#include <vector>

#include <qing/autograd/tensor_function.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// function(inputs). For backward only the inputs are kept: backward computes the function a second time (Chen et al.,
/// "Training Deep Nets with Sublinear Memory Cost", 2016). Leaves that the function captures, such as a layer's
/// parameters, get gradients too. The function must give the same result both times. If it draws from `rng`, pass it:
/// the second run starts from the same state, so that dropout masks are equal. The second run has the AutocastGuard of
/// the first; batch_norm and instance_norm do not update their running statistics in it. Use backward(): gradients()
/// through a checkpoint is an AutogradError, since it would miss the captured leaves.
Tensor checkpoint(const TensorFunction& function, const std::vector<Tensor>& inputs, Generator* rng = nullptr);

/// Whether this thread is in the second run of a checkpoint's function. A function with side effects, such as a layer
/// that counts its batches, must skip them then.
bool recomputing();

}  // namespace qing
