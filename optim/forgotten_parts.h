// The warning of optimizers about parts of a model that they do not train.
#pragma once

#include <span>

#include <qing/tensor/tensor.h>

namespace qing::optim {

/// For the first step with gradients of `optimizer`, which trains `parameters`: warns (tensor/warnings.h) of layers
/// that no visit() reports, and of leaves that received gradients and are in no optimizer. Ends the watch for them.
/// Thread-safe.
void warn_of_forgotten_parts(const char* optimizer, std::span<const Tensor> parameters);

}  // namespace qing::optim
