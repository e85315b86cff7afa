// Numbers whose gradient a test asks for.
#pragma once

#include <qing/autograd/autograd.h>
#include <qing/tensor/tensor.h>

namespace qing::test {

/// A leaf of shape [] in f64.
inline Tensor variable(double value) {
  Tensor x = Tensor::full({}, value, DType::f64);
  return set_requires_grad(x);
}

}  // namespace qing::test
