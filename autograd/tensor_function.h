// The function that the tools of autograd/functional and checkpoints take.
#pragma once

#include <functional>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// A function of tensors to one tensor.
using TensorFunction = std::function<Tensor(const std::vector<Tensor>&)>;

}  // namespace qing
