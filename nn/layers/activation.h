// Activations as modules, to stand in a Sequential. Each is the operation of the same name.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/softmax.h>
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

class Softmax final : public UnaryModule {
 public:
  explicit Softmax(int64_t dim = -1) : dim_(dim) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return softmax(x, dim_); }
  int64_t dim_;
};

}  // namespace qing::nn
