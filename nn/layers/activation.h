// Activations as modules, to stand in a Sequential. Each is the operation of the same name.
#pragma once

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/normalization.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// A module without parameters that applies one operation.
template <Tensor (*Operation)(const Tensor&)>
class Activation : public UnaryModule {
  Tensor compute(const Tensor& x, Generator*) const override { return Operation(x); }
};

class ReLU final : public Activation<&relu> {};
class GELU final : public Activation<&gelu> {};
class Tanh final : public Activation<&tanh> {};
class Sigmoid final : public Activation<&sigmoid> {};
/// Over the last dimension.
class Softmax final : public Activation<&softmax> {};

}  // namespace qing::nn
